"""Questions to Civitai: what is this model, which model is this file, is there a newer version."""

from __future__ import annotations

import os
import re
from typing import Any

import httpx

from easel.models import (
    CIVITAI_HOSTS,
    CIVITAI_URL,
    BadAddress,
    CivitaiSource,
    FetchPolicy,
    NotThere,
    Secrets,
    civitai_source,
)
from easel.studio.library.card import Card, Keep, describe, tables

_AIR = re.compile(r"urn:air:[\w.-]+:[\w.-]+:civitai:(\d{1,12})(?:@(\d{1,12}))?", re.IGNORECASE)


def understood(text: str) -> str:
    """What somebody pasted, as an address: also a bare number, an AIR, and a page without its `https://`.

    Raises BadAddress for nothing at all.
    """
    address = text.strip().strip("<>\"'")
    if not address:
        raise BadAddress("the address", "is empty; paste that of the model's page on Civitai")
    if re.fullmatch(r"\d{1,12}", address):
        return f"civitai://models/{address}"
    if found := _AIR.fullmatch(address):
        return f"civitai://models/{found[1]}" + (f"?version={found[2]}" if found[2] else "")
    bare = re.sub(r"^http://", "", address, flags=re.IGNORECASE)
    if bare.lower().startswith(tuple(f"{host}/" for host in CIVITAI_HOSTS)):
        return f"https://{bare}"
    return address


class Civitai:
    """The REST API, asked with the operator's token."""

    def __init__(self, secrets: Secrets, policy: FetchPolicy) -> None:
        self._secrets, self._policy = secrets, policy
        self._service = (os.environ.get("CIVITAI_ENDPOINT") or CIVITAI_URL).rstrip("/")

    def card(self, source: CivitaiSource, http: httpx.Client, keep: Keep) -> Card:
        """The model that `source` names. Raises SourceError."""
        model, version = source.model, source.version
        alone: dict[str, Any] = {}
        if not model:
            alone = source.get(http, f"model-versions/{version}")
            model = _whole(alone.get("modelId"))
        try:
            found = source.get(http, f"models/{model}")
        except NotThere:
            if not version:
                raise
            # Archived models show their versions still.
            alone = alone or source.get(http, f"model-versions/{version}")
            said = alone.get("model")
            found = {**(said if isinstance(said, dict) else {}), "id": model}
        known = tables(found.get("modelVersions"))
        if version and all(one.get("id") != version for one in known):
            # The list is of what is published; a version that is named may be none of them.
            alone = alone or source.get(http, f"model-versions/{version}")
            if alone.get("modelId") not in (None, model):
                raise NotThere(
                    source.address,
                    f"version {version} belongs to model {alone.get('modelId')}, not to {model}; check the "
                    "address",
                )
            known = [*known, alone]
        card = describe({**found, "modelVersions": known}, version, self._service, keep)
        if not card.versions:
            raise NotThere(
                source.address, "the model has no version that can be downloaded; its page may say why"
            )
        return card

    def by_hash(self, http: httpx.Client, sha256: str) -> dict[str, Any]:
        """The version that has a file of this SHA-256. Raises SourceError; NotThere if there is none."""
        return self._source("civitai://models/1").get(http, f"model-versions/by-hash/{sha256.upper()}")

    def version(self, http: httpx.Client, model: int, version: int) -> dict[str, Any]:
        """A version as Civitai Helper keeps it. Raises SourceError."""
        return self._source(f"civitai://models/{model}?version={version}").info(http)

    def model(self, http: httpx.Client, model: int) -> dict[str, Any]:
        """A model. Raises SourceError."""
        return self._source(f"civitai://models/{model}").get(http, f"models/{model}")

    def _source(self, address: str) -> CivitaiSource:
        return civitai_source(address, self._secrets.civitai)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
