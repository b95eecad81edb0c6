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
from easel.remark import remark

_KEYS = "https://civitai.com/user/account, under API Keys"


def refused(
    address: str, status: int, said: Mapping[str, object], retry_after: float | None, has_token: bool
) -> SourceError:
    """What Civitai means by `status`; `said` is the JSON of its answer."""
    words = message_of(said)
    tail = remark("civitai_says", " (Civitai says: {words})", words=words) if words else ""
    if status == 401:
        if has_token:
            what = (
                "Civitai does not know this token (401): make a new one at {keys}, and put it into "
                "CIVITAI_TOKEN or CIVITAI_TOKEN_FILE{tail}"
            )
            return NeedsToken(address, remark("civitai_token_unknown", what, keys=_KEYS, tail=tail))
        what = (
            "its creator wants downloaders to be signed in (401): make a key at {keys}, and put it into "
            "CIVITAI_TOKEN or CIVITAI_TOKEN_FILE{tail}"
        )
        return NeedsToken(address, remark("civitai_token_wanted", what, keys=_KEYS, tail=tail))
    if status == 403 and (said.get("error") == "Early Access" or "deadline" in said):
        until = str(said.get("deadline") or "")[:10]
        when = remark("free_on", "; it is free for all on {date}", date=until) if until else ""
        what = (
            "this version is in early access (403){when}. Buy access on its page with the account of your "
            "CIVITAI_TOKEN, wait, or take an earlier version{tail}"
        )
        return EarlyAccess(address, remark("civitai_early", what, when=when, tail=tail))
    if status == 403:
        if has_token:
            what = (
                "Civitai does not give this file out (403): the account of your CIVITAI_TOKEN may not; open "
                "its page to see why{tail}"
            )
            return NoAccess(address, remark("civitai_may_not", what, tail=tail))
        what = (
            "Civitai does not give this file out (403): set CIVITAI_TOKEN if your account may; open its page "
            "to see why{tail}"
        )
        return NoAccess(address, remark("civitai_set_token", what, tail=tail))
    if status == 404:
        what = (
            "Civitai has no such model, version or file (404): it may have been deleted, be private, or be "
            "on its way; check the page in a browser, then try again{tail}"
        )
        return NotThere(address, remark("civitai_not_there", what, tail=tail))
    if status == 410:
        what = (
            "the model was archived by its creator (410): its files are gone from Civitai. Look for the same "
            "hash elsewhere, and add that with --sha256{tail}"
        )
        return Archived(address, remark("civitai_archived", what, tail=tail))
    if status == 429:
        wait = (
            remark("in_seconds", "in {n} s", n=round(retry_after))
            if retry_after
            else remark("in_an_hour", "in an hour")
        )
        what = (
            "Civitai saw too many downloads from here (429): start it again {wait}; it goes on from where it "
            "was{tail}"
        )
        return TooManyRequests(address, remark("civitai_too_many", what, wait=wait, tail=tail), retry_after)
    if status == 400:
        what = "Civitai does not understand the address (400); paste that of the model's page{tail}"
        return NotThere(address, remark("civitai_no_address", what, tail=tail))
    if status >= 500:
        what = "Civitai has trouble of its own ({status}); try again later{tail}"
        return Unreachable(address, remark("civitai_trouble", what, status=status, tail=tail))
    what = "Civitai answers {status}{tail}; open the model's page in a browser to see why"
    return SourceError(address, remark("civitai_answers", what, status=status, tail=tail))
