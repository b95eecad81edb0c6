"""`https://…`: any file on the web, and `http://…` for those who may."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import httpx

from easel.models.source_errors import BadAddress
from easel.models.sources.offer import Offer, Source, key_of, shown
from easel.remark import remark

_SHAPE = "https://host/path/name.safetensors"


@dataclass(frozen=True, slots=True)
class WebSource(Source):
    """The file at `url`, which may hold a key of its own and is not shown."""

    url: str = field(repr=False)
    address: str
    key: str

    def offer(self, client: httpx.Client) -> Offer:
        """Nothing is asked: the download itself finds out."""
        path = unquote(urlsplit(self.url).path)
        return Offer(self.url, name=posixpath.basename(path))


def web_source(address: str) -> WebSource:
    """Read an address. Raises BadAddress."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        raise BadAddress(
            address[:200], remark("web_no_address", "is not an address; write it as {shape}", shape=_SHAPE)
        ) from None
    if not url.host:
        raise BadAddress(
            shown(address), remark("web_no_host", "names no host; write it as {shape}", shape=_SHAPE)
        )
    if url.host in ("huggingface.co", "hf.co"):
        parts = url.path.strip("/").split("/")
        if len(parts) > 4 and parts[2] in ("resolve", "blob"):
            instead = f"hf://{parts[0]}/{parts[1]}/{'/'.join(parts[4:])}@{parts[3]}"
            raise BadAddress(
                shown(address), remark("web_hub_file", "is a file of the hub; write {it}", it=instead)
            )
        raise BadAddress(
            shown(address),
            remark("web_hub_page", "is a page of the hub; write hf://org/repo/file.safetensors[@revision]"),
        )
    return WebSource(address, shown(address), key_of(address))
