"""Deployment tokens: 256 random bits each, named, per endpoint, expiring, revocable; only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from easel.gateway.disk import RecordFile, RecordList, settle, update
from easel.gateway.errors import TokenRefused
from easel.remark import remark

PREFIX = "easel_"
# What a token looks like, for whoever has to keep it out of a log.
PATTERN = re.compile(r"easel_[A-Za-z0-9_-]{16,}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# The last second that calendars know.
_END_OF_TIME = 253_402_300_799
# `X-Easel-User` starts with a token's name: these would be mistaken for somebody else.
_RESERVED = {"anonymous", "local"}


@dataclass(frozen=True)
class Token:
    """One token without its secret. Times are Unix seconds; `expires` None is never."""

    endpoint: str
    name: str
    hash: str
    created: float
    expires: float | None = None
    last_used: float | None = None
    # Its hash came with the configuration; revoked, it is kept, so that it is not taken for a new one.
    given: bool = False
    revoked: float | None = None

    @property
    def id(self) -> str:
        """Tells this token from a later one of the same name."""
        return _id(self.hash)

    def valid(self, now: float) -> bool:
        """Whether it has not expired at `now`."""
        return self.expires is None or now < self.expires


def token_file(path: Path) -> RecordList[Token]:
    """`EASEL_HOME/tokens.json`."""
    return RecordFile(path, "tokens", Token)


class Tokens:
    """The tokens of all endpoints: made, listed, revoked, checked."""

    def __init__(self, store: RecordList[Token]) -> None:
        self._store = store
        # By endpoint and id: of a thousand endpoints' tokens each request is one look-up.
        self._known: dict[tuple[str, str], Token] = {}
        # Endpoint and name of what was revoked and is not written yet, and the ids that are out by it.
        self._pending: dict[tuple[str, str], frozenset[str]] = {}
        self._seen: object = self  # unlike anything `changed` returns
        self._used: dict[tuple[str, str], float] = {}

    def new(self, endpoint: str, name: str, expires: float | None = None) -> str:
        """Make a token and return its plaintext, which is kept nowhere. Raises TokenRefused,
        TokenConflict."""
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
            words = (
                "token name {name}: letters, digits, '.', '_' and '-', up to 63, a letter or digit first, "
                "and none of {reserved}"
            )
            reserved = ", ".join(sorted(_RESERVED))
            raise TokenRefused(remark("token_name", words, name=repr(name), reserved=reserved))
        now = time.time()
        if expires is not None and not now < expires <= _END_OF_TIME:
            words = "expires: that moment has passed, or is beyond the year 9999: give one between, or none"
            raise TokenRefused(remark("token_past", words))
        plaintext = PREFIX + secrets.token_urlsafe(32)
        token = Token(endpoint, name, _hash(plaintext), now, expires)

        def add(tokens: list[Token]) -> list[Token]:
            for other in tokens:
                same = (other.endpoint, other.name) == (endpoint, name)
                if same and other.revoked is None and other.valid(now):
                    words = "{endpoint} has a token named {name}: revoke it first or choose another name"
                    raise TokenRefused(remark("token_taken", words, endpoint=endpoint, name=repr(name)))
            # An expired one of the same name makes room.
            return [
                other
                for other in tokens
                if (other.endpoint, other.name) != (endpoint, name) or other.revoked is not None
            ] + [token]

        update(self._store, add)
        return plaintext

    def of(self, endpoint: str | None = None) -> list[Token]:
        """All tokens, or those of one endpoint, expired ones too."""
        used = self._used
        return [
            replace(token, last_used=used.get((token.endpoint, token.id), token.last_used))
            for token in self._fresh().values()
            if endpoint in (None, token.endpoint)
        ]

    def revoke(self, endpoint: str, name: str) -> bool:
        """Make a token and every session that came of it worthless, now. Whether there was one.

        It counts at once, even where it cannot be written: `settle` says whether it is.
        """
        found = {one.id for one in self._fresh().values() if (one.endpoint, one.name) == (endpoint, name)}
        if not found:
            return False
        self._pending[endpoint, name] = self._pending.get((endpoint, name), frozenset()) | found
        self._seen = self
        self.settle()
        return True

    @property
    def settled(self) -> bool:
        """Whether all revocations are written."""
        return not self._pending

    def settle(self) -> bool:
        """Write the revocations that are not written yet; whether all are. Blocks."""
        now = time.time()

        def without(tokens: list[Token], waiting: dict[tuple[str, str], frozenset[str]]) -> list[Token]:
            named = [one for one in tokens if one.id in waiting.get((one.endpoint, one.name), ())]
            return [one for one in tokens if one not in named] + [
                one if one.revoked is not None else replace(one, revoked=now) for one in named if one.given
            ]

        return settle(self._store, self._pending, without)

    def adopt(self, given: Mapping[str, str]) -> list[str]:
        """Take first tokens by their hashes, which the configuration gives, by endpoint; those that were new.
        All in one write, as a thousand of a second each are a quarter of an hour.

        One that was seen before is not taken again, so that revoking it lasts. A new hash takes the place of
        the one given before it. Raises TokenConflict.
        """
        now = time.time()
        new: list[str] = []

        def add(tokens: list[Token]) -> list[Token]:
            mine: dict[str, list[Token]] = {endpoint: [] for endpoint in given}
            for one in tokens:
                mine.get(one.endpoint, []).append(one)
            new[:] = [name for name, had in mine.items() if given[name] not in {one.hash for one in had}]
            replaced = {
                (one.endpoint, one.id)
                for name in new
                for one in mine[name]
                if one.given and one.revoked is None
            }
            kept = [
                replace(one, revoked=now) if (one.endpoint, one.id) in replaced else one for one in tokens
            ]
            return [*kept, *(_first(name, given[name], mine[name], now) for name in new)]

        known = {(one.endpoint, one.hash) for one in self._store.known()}
        if given.items() <= known:
            return []
        return new if update(self._store, add) else []

    def check(self, endpoint: str, plaintext: str) -> Token | None:
        """The endpoint's token that `plaintext` is, if there is a valid one.

        The time it takes tells nothing: it goes by SHA-256 of what was shown, which nobody can aim.
        """
        token = self._match(endpoint, plaintext)
        if token is not None:
            self.note(endpoint, token.id)
        return token

    def is_valid(self, endpoint: str, plaintext: str) -> bool:
        """Whether `check` would find it, without counting as use."""
        return self._match(endpoint, plaintext) is not None

    def note(self, endpoint: str, token_id: str) -> None:
        """A session that was made with a token is used."""
        if token_id:
            self._used[endpoint, token_id] = time.time()

    def holds(self, endpoint: str, name: str, token_id: str) -> bool:
        """Whether the token that a session or a request came by is good still."""
        one = self._fresh().get((endpoint, token_id))
        return one is not None and one.name == name and one.valid(time.time())

    def flush(self) -> None:
        """Write when tokens were last used. Called now and then: a write per request would wear out a
        disk."""
        used, self._used = self._used, {}
        if used:
            update(
                self._store,
                lambda tokens: [
                    replace(one, last_used=used.get((one.endpoint, one.id), one.last_used)) for one in tokens
                ],
            )

    def _match(self, endpoint: str, plaintext: str) -> Token | None:
        digest = _hash(plaintext)
        token = self._fresh().get((endpoint, _id(digest)))
        same = token is not None and hmac.compare_digest(token.hash, digest)
        return token if token is not None and same and token.valid(time.time()) else None

    def _fresh(self) -> dict[tuple[str, str], Token]:
        seen = self._store.changed()
        if seen != self._seen:
            self._known = {
                (token.endpoint, token.id): token
                for token in self._store.known()
                if token.revoked is None
                and token.id not in self._pending.get((token.endpoint, token.name), ())
            }
            self._seen = seen
        return self._known


def _first(endpoint: str, digest: str, others: Sequence[Token], now: float) -> Token:
    """A token whose hash was given, by a name that none of the endpoint's `others` has."""
    taken = {one.name for one in others if one.revoked is None and not one.given}
    names = ["link", *(f"link-{number}" for number in range(2, len(taken) + 3))]
    return Token(endpoint, next(name for name in names if name not in taken), digest, now, given=True)


def _id(digest: str) -> str:
    return digest[:16]


def _hash(plaintext: str) -> str:
    # No salt and no stretching: nobody guesses 256 random bits.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
