"""What lies beside a model from Civitai: `NAME.civitai.info`, `NAME.preview.png`, as Civitai Helper has them.

The information is the version as the REST API says it, with the model's description, tags, licence and
creator put in. A1111 shows the preview on the model's card; the extension finds both and asks no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import structlog

from easel.models.disk import write_whole
from easel.models.fetch.network import fetch_small
from easel.models.index import CIVITAI_INFO, preview_of
from easel.models.model_file import sidecar_path
from easel.models.source_errors import SourceError
from easel.models.sources.offer import Offer
from easel.models.sources.policy import FetchPolicy

log = structlog.get_logger(__name__)

_LARGEST_PREVIEW = 10_000_000
_SIGNS: Mapping[bytes, str] = {b"\x89PNG\r\n\x1a\n": ".preview.png", b"\xff\xd8\xff": ".preview.jpg"}


def write_civitai_files(model: Path, offer: Offer, policy: FetchPolicy, *, new: bool) -> None:
    """Write what the source told beside `model`. What cannot be is logged: the model itself is there.

    A model that was there already (`new` is False) keeps what it has.
    """
    if not offer.info:
        return
    info = sidecar_path(model, CIVITAI_INFO)
    try:
        if new or not info.exists():
            write_whole(info, json.dumps(offer.info, indent=4).encode())
        if offer.preview and preview_of(model) is None:
            _write_preview(model, offer.preview, policy)
    except (OSError, SourceError, httpx.HTTPError, httpx.InvalidURL) as error:
        log.warning("no preview or information beside the model", file=model.name, why=str(error)[:200])


def _write_preview(model: Path, url: str, policy: FetchPolicy) -> None:
    picture = fetch_small(policy, url, most=_LARGEST_PREVIEW)
    # By its bytes, not by what the server calls it: nothing that is no picture comes to lie there.
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        write_whole(sidecar_path(model, ".preview.webp"), picture)
    for sign, ending in _SIGNS.items():
        if picture.startswith(sign):
            write_whole(sidecar_path(model, ending), picture)
