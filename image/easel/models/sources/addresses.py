"""From an address to its source: `hf://`, `civitai://`, `s3://`, `https://`, `file:`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from easel.models.source_errors import BadAddress, Forbidden
from easel.models.sources.bucket import bucket_source
from easel.models.sources.civitai import civitai_source, is_civitai
from easel.models.sources.hub import hub_source
from easel.models.sources.local import local_source
from easel.models.sources.offer import Secrets, Source, shown
from easel.models.sources.policy import OPERATOR, FetchPolicy
from easel.models.sources.web import web_source
from easel.remark import remark

_KNOWN = "hf://org/repo/file, civitai://models/ID, s3://bucket/key, https://…, file:/path"


def source_of(
    address: str,
    *,
    secrets: Secrets | None = None,
    policy: FetchPolicy = OPERATOR,
    environment: Mapping[str, str] = os.environ,
) -> Source:
    """The source that `address` names. Raises BadAddress, Forbidden."""
    address = address.strip()
    known = secrets or Secrets()
    if any(letter.isspace() or ord(letter) < 32 for letter in address) or len(address) > 2000:
        raise BadAddress(
            shown_safely(address),
            remark("address_spaces", "holds spaces or is too long for an address of a model"),
        )
    try:
        urlsplit(address)
        return _source(address, known, policy, environment)
    except ValueError:
        raise BadAddress(
            remark("the_address", "the address"),
            remark("address_unreadable", "cannot be read; write one of {known}", known=_KNOWN),
        ) from None


def _source(address: str, known: Secrets, policy: FetchPolicy, environment: Mapping[str, str]) -> Source:
    if is_civitai(address):
        return civitai_source(address, known.civitai, environment)
    if address.startswith("hf://"):
        return hub_source(address, known.hub, environment)
    if address.startswith(("s3://", "file:")):
        if not policy.own:
            raise Forbidden(
                address,
                remark(
                    "address_operators",
                    "s3:// and file: may be used by the operator only: in the stack file, or by "
                    "`easel models add` on the machine itself",
                ),
            )
        return bucket_source(address) if address.startswith("s3://") else local_source(address)
    if address.startswith("https://") or (address.startswith("http://") and policy.private):
        return web_source(address)
    if address.startswith("http://"):
        words = "is not encrypted: only https:// may be fetched from page and API"
        raise Forbidden(shown(address), remark("address_plain", words))
    words = "is not an address of a model; write one of {known}"
    raise BadAddress(shown_safely(address), remark("no_address", words, known=_KNOWN))


def secrets_of(environment: Mapping[str, str] = os.environ) -> Secrets:
    """The operator's tokens: HF_TOKEN and CIVITAI_TOKEN, or the files that HF_TOKEN_FILE and so on name."""
    return Secrets(hub=_secret("HF_TOKEN", environment), civitai=_secret("CIVITAI_TOKEN", environment))


def shown_safely(address: str) -> str:
    """Whatever somebody typed, short and without secrets."""
    try:
        return shown(address)[:200]
    except ValueError:
        return "the address"


def _secret(name: str, environment: Mapping[str, str]) -> str:
    said = environment.get(name, "").strip()
    file = environment.get(f"{name}_FILE", "").strip()
    if said or not file:
        return _one_word(name, said)
    try:
        return _one_word(f"{name}_FILE", Path(os.path.expanduser(file)).read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise BadAddress(
            f"{name}_FILE", f"the token cannot be read from {file} ({why}); check the path"
        ) from None


def _one_word(name: str, token: str) -> str:
    if not token.isascii() or any(letter.isspace() for letter in token):
        raise BadAddress(name, "does not hold a token: one word of plain letters is one")
    return token
