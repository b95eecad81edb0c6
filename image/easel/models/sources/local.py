"""`file:/path`: a file that this machine can read already."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from easel.models.source_errors import BadAddress, SourceError
from easel.models.sources.offer import Offer, Source, key_of


@dataclass(frozen=True, slots=True)
class LocalSource(Source):
    """The file at `path`, which is copied."""

    path: Path
    address: str
    key: str

    def offer(self, client: httpx.Client) -> Offer:
        """Name and size. Raises SourceError."""
        try:
            found = self.path.stat()
        except OSError as error:
            why = error.strerror or str(error)
            raise SourceError(self.address, f"cannot be read here ({why}); check the path") from error
        if not stat.S_ISREG(found.st_mode):
            raise SourceError(self.address, "that is no file; name one .safetensors file")
        return Offer("", name=self.path.name, size=found.st_size)


def local_source(address: str) -> LocalSource:
    """Read `file:/path`, `file:///path` or `file:relative`. Raises BadAddress."""
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise BadAddress(address, "names another machine; write file:/path, or file:///path")
    path = unquote(parts.path)
    if not path or "\0" in path:
        raise BadAddress(address, "names no file; write file:/path/name.safetensors")
    # Not Path.expanduser, which raises for a user whom nobody knows: such a name is a file's like any other.
    whole = Path(os.path.expanduser(path)).absolute()
    return LocalSource(whole, f"file:{whole}", key_of(f"file:{whole}"))
