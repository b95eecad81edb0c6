"""EASEL_HOME: where the gateway finds and leaves things. The layout is the contract of
docs/architecture.md."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

# A unix socket's path may be 104 bytes on macOS and 108 on Linux, including the closing zero.
_SOCKET_PATH_LIMIT = 100


class Home:
    """The folders and files below one EASEL_HOME."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # What `infra` rendered.
        self.config = root / "config"
        # What belongs to the running gateway.
        self.run = root / "run"
        # What everybody said.
        self.logs = root / "logs"
        # The hashes of the tokens, and the sessions that were ended before their time.
        self.tokens = root / "tokens.json"
        self.ended = root / "ended.json"
        # The plaintext of each endpoint's first token; only the operator can read it.
        self.links = self.run / "links.json"
        # The public keys that replicas know the gateway's assertions by.
        self.keys = self.run / "keys.json"
        # What Caddy runs with.
        self.caddyfile = self.run / "Caddyfile"
        # Caddy's certificates and the key of its account with the authority: they outlive every start.
        self.certificates = root / "certificates"
        # Where sockets lie whose path would be too long below `run`.
        self._elsewhere: Path | None = None

    def replica_log(self, endpoint: str, replica: str) -> Path:
        """What one replica said."""
        return self.logs / f"{endpoint}-{replica}.log"

    def prepare(self) -> None:
        """Make the folders, for their owner alone."""
        for folder in (self.config, self.logs, self.run, self.certificates):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def socket(self, name: str) -> Path:
        """Where something listens for this gateway's own processes alone: in `run/`, or in a private
        temporary folder, until `leave`, if that path is too long for a socket."""
        path = self.run / name
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        if self._elsewhere is None:
            self._elsewhere = Path(tempfile.mkdtemp(prefix="easel-"))
        return self._elsewhere / name

    def leave(self) -> None:
        """Nothing listens any more: take the temporary folder away, if there was one."""
        if self._elsewhere is not None:
            shutil.rmtree(self._elsewhere, ignore_errors=True)
            self._elsewhere = None
