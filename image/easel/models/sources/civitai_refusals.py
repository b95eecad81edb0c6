"""Civitai's refusals in plain words, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping

from easel.models.source_errors import (
    Archived,
    EarlyAccess,
    NeedsToken,
    NoAccess,
    NotThere,
    SourceError,
    TooManyRequests,
    Unreachable,
)
from easel.models.sources.offer import message_of

_KEYS = "https://civitai.com/user/account, under API Keys"


def refused(
    address: str, status: int, said: Mapping[str, object], retry_after: float | None, has_token: bool
) -> SourceError:
    """What Civitai means by `status`; `said` is the JSON of its answer."""
    words = message_of(said)
    tail = f" (Civitai says: {words})" if words else ""
    if status == 401:
        if has_token:
            return NeedsToken(
                address,
                f"Civitai does not know this token (401): make a new one at {_KEYS}, and put "
                f"it into CIVITAI_TOKEN or CIVITAI_TOKEN_FILE{tail}",
            )
        return NeedsToken(
            address,
            f"its creator wants downloaders to be signed in (401): make a key at {_KEYS}, and "
            f"put it into CIVITAI_TOKEN or CIVITAI_TOKEN_FILE{tail}",
        )
    if status == 403 and (said.get("error") == "Early Access" or "deadline" in said):
        until = str(said.get("deadline") or "")[:10]
        when = f"; it is free for all on {until}" if until else ""
        return EarlyAccess(
            address,
            f"this version is in early access (403){when}. Buy access on its page with the "
            f"account of your CIVITAI_TOKEN, wait, or take an earlier version{tail}",
        )
    if status == 403:
        more = (
            "the account of your CIVITAI_TOKEN may not"
            if has_token
            else "set CIVITAI_TOKEN if your account may"
        )
        return NoAccess(
            address, f"Civitai does not give this file out (403): {more}; open its page to see why{tail}"
        )
    if status == 404:
        return NotThere(
            address,
            "Civitai has no such model, version or file (404): it may have been deleted, be "
            f"private, or be on its way; check the page in a browser, then try again{tail}",
        )
    if status == 410:
        return Archived(
            address,
            "the model was archived by its creator (410): its files are gone from Civitai. "
            f"Look for the same hash elsewhere, and add that with --sha256{tail}",
        )
    if status == 429:
        wait = f" in {retry_after:.0f} s" if retry_after else " in an hour"
        return TooManyRequests(
            address,
            f"Civitai saw too many downloads from here (429): start it again{wait}; it "
            f"goes on from where it was{tail}",
            retry_after,
        )
    if status == 400:
        return NotThere(
            address, f"Civitai does not understand the address (400); paste that of the model's page{tail}"
        )
    if status >= 500:
        return Unreachable(address, f"Civitai has trouble of its own ({status}); try again later{tail}")
    return SourceError(
        address, f"Civitai answers {status}{tail}; open the model's page in a browser to see why"
    )
