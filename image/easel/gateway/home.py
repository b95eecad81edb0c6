"""EASEL_HOME: where the gateway finds and leaves things. The layout is the contract of
docs/architecture.md."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A unix socket's path may be 104 bytes on macOS and 108 on Linux, including the closing zero.
_SOCKET_PATH_LIMIT = 100
_SHORTEST_SECRET = 32


@dataclass(frozen=True)
class Home:
    """The folders and files below one EASEL_HOME."""

    root: Path

    @property
    def config(self) -> Path:
        """What `infra` rendered."""
        return self.root / "config"

    @property
    def run(self) -> Path:
        """What belongs to the running gateway."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """What everybody said."""
        return self.root / "logs"

    @property
    def tokens(self) -> Path:
        """The hashes of the tokens."""
        return self.root / "tokens.json"

    @property
    def ended(self) -> Path:
        """The sessions that were ended before their time."""
        return self.root / "ended.json"

    @property
    def links(self) -> Path:
        """The plaintext of each endpoint's first token; only the operator can read it."""
        return self.run / "links.json"

    @property
    def keys(self) -> Path:
        """The public keys that replicas know the gateway's assertions by."""
        return self.run / "keys.json"

    @property
    def caddyfile(self) -> Path:
        """What Caddy runs with."""
        return self.run / "Caddyfile"

    @property
    def certificates(self) -> Path:
        """Caddy's certificates and the key of its account with the authority: they outlive every start."""
        return self.root / "certificates"

    def replica_log(self, endpoint: str, replica: str) -> Path:
        """What one replica said."""
        return self.logs / f"{endpoint}-{replica}.log"

    def prepare(self) -> None:
        """Make the folders, for their owner alone."""
        for folder in (self.config, self.logs, self.run, self.certificates):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def socket(self, name: str) -> Path:
        """Where something listens for this gateway's own processes alone: in `run/`, or in a private
        temporary folder if that path is too long for a socket."""
        path = self.run / name
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        return Path(tempfile.mkdtemp(prefix="easel-")) / name
