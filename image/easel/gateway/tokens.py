"""Deployment tokens: 256 random bits each, named, per endpoint, expiring, revocable; only hashes are kept.

Several gateways and the operator may write at once: every change reads, changes and swaps, and starts over
if another
writer was faster. A file does it under a lock; an object store will do it with a conditional write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import filelock

from easel.gateway.errors import GatewayError, TokenConflict, TokenRefused
from easel.gateway.home import write_private

PREFIX = "easel_"
# What a token looks like, for whoever has to keep it out of a log.
PATTERN = re.compile(r"easel_[A-Za-z0-9_-]{16,}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# The last second that calendars know.
_END_OF_TIME = 253_402_300_799
# `X-Easel-User` starts with a token's name: these would be mistaken for somebody else.
_RESERVED = {"anonymous", "local"}
_ATTEMPTS = 20


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
        return self.hash[:16]

    def valid(self, now: float) -> bool:
        """Whether it has not expired at `now`."""
        return self.expires is None or now < self.expires


class TokenStore(Protocol):
    """Keeps the list of tokens, with a revision for compare-and-swap."""

    def read(self) -> tuple[list[Token], str]:
        """The tokens and the revision they are of."""
        ...

    def known(self) -> list[Token]:
        """The tokens as far as they can be told at once: asked at the door."""
        ...

    def swap(self, tokens: list[Token], revision: str) -> bool:
        """Replace the list if it is still at `revision`; whether it was."""
        ...

    def changed(self) -> object:
        """A cheap value that differs after any writer's change."""
        ...


class TokenFile:
    """`EASEL_HOME/tokens.json`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = filelock.FileLock(path.with_name(path.name + ".lock"))

    def read(self) -> tuple[list[Token], str]:
        """The tokens; none if the file is not there yet. Raises GatewayError if it is not a token file."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return [], ""
        try:
            tokens = [Token(**fields) for fields in json.loads(content)["tokens"]]
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayError(
                f"{self._path} is not a token file ({error}): restore it, "
                "or remove it to start with no tokens at all"
            ) from None
        return tokens, hashlib.sha256(content).hexdigest()

    def known(self) -> list[Token]:
        """The tokens of the file."""
        return self.read()[0]

    def swap(self, tokens: list[Token], revision: str) -> bool:
        """Replace the file as a whole if nobody else did since `revision`."""
        with self._lock:
            if self.read()[1] != revision:
                return False
            content = {"version": 1, "tokens": [asdict(token) for token in tokens]}
            write_private(self._path, json.dumps(content, indent=1) + "\n")
            return True

    def changed(self) -> object:
        """The file's identity: a swap always makes a new inode."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


class Tokens:
    """The tokens of all endpoints: made, listed, revoked, checked."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._known: list[Token] = []
        self._seen: object = self  # unlike anything `changed` returns
        self._used: dict[tuple[str, str], float] = {}

    def new(self, endpoint: str, name: str, expires: float | None = None) -> str:
        """Make a token and return its plaintext, which is kept nowhere. Raises TokenRefused,
        TokenConflict."""
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
            raise TokenRefused(
                f"token name {name!r}: letters, digits, '.', '_' and '-', up to 63, "
                f"a letter or digit first, and not {' or '.join(sorted(_RESERVED))}"
            )
        now = time.time()
        if expires is not None and not now < expires <= _END_OF_TIME:
            raise TokenRefused(
                "expires: that moment has passed, or is beyond the year 9999: give one between, or none"
            )
        plaintext = PREFIX + secrets.token_urlsafe(32)
        token = Token(endpoint, name, _hash(plaintext), now, expires)

        def add(tokens: list[Token]) -> list[Token]:
            for other in tokens:
                same = (other.endpoint, other.name) == (endpoint, name)
                if same and other.revoked is None and other.valid(now):
                    raise TokenRefused(
                        f"{endpoint} has a token named {name!r}: revoke it first or choose another name"
                    )
            # An expired one of the same name makes room.
            return [
                other
                for other in tokens
                if (other.endpoint, other.name) != (endpoint, name) or other.revoked is not None
            ] + [token]

        self._update(add)
        return plaintext

    def of(self, endpoint: str | None = None) -> list[Token]:
        """All tokens, or those of one endpoint, expired ones too."""
        used = self._used
        return [
            replace(token, last_used=used.get((token.endpoint, token.id), token.last_used))
            for token in self._fresh()
            if endpoint in (None, token.endpoint)
        ]

    def revoke(self, endpoint: str, name: str) -> bool:
        """Make a token and every session that came of it worthless, now. Whether there was one."""
        found = any((token.endpoint, token.name) == (endpoint, name) for token in self._fresh())
        now = time.time()

        def without(tokens: list[Token]) -> list[Token]:
            named = [one for one in tokens if (one.endpoint, one.name) == (endpoint, name)]
            return [one for one in tokens if one not in named] + [
                one if one.revoked is not None else replace(one, revoked=now) for one in named if one.given
            ]

        self._update(without)
        return found

    def adopt(self, endpoint: str, digest: str) -> bool:
        """Take a first token by its hash, which the configuration gives; whether it was new.

        One that was seen before is not taken again, so that revoking it lasts. A new hash takes the place of
        the one given before it. Raises TokenConflict.
        """
        now = time.time()
        if any((one.endpoint, one.hash) == (endpoint, digest) for one in self._store.known()):
            return False

        def add(tokens: list[Token]) -> list[Token]:
            if any((one.endpoint, one.hash) == (endpoint, digest) for one in tokens):
                return tokens
            kept = [
                replace(one, revoked=now)
                if one.endpoint == endpoint and one.given and one.revoked is None
                else one
                for one in tokens
            ]
            taken = {one.name for one in kept if one.endpoint == endpoint and one.revoked is None}
            names = ["link", *(f"link-{number}" for number in range(2, len(taken) + 3))]
            name = next(name for name in names if name not in taken)
            return [*kept, Token(endpoint, name, digest, now, given=True)]

        return self._update(add)

    def check(self, endpoint: str, plaintext: str) -> Token | None:
        """The endpoint's token that `plaintext` is, if there is a valid one. The time it takes tells
        nothing."""
        return self._note(self._match(endpoint, plaintext))

    def is_valid(self, endpoint: str, plaintext: str) -> bool:
        """Whether `check` would find it, without counting as use."""
        return self._match(endpoint, plaintext) is not None

    def find(self, endpoint: str, name: str, token_id: str) -> Token | None:
        """The valid token a session was made with."""
        for token in self._fresh():
            if (token.endpoint, token.name, token.id) == (endpoint, name, token_id) and token.valid(
                time.time()
            ):
                return self._note(token)
        return None

    def flush(self) -> None:
        """Write when tokens were last used. Called now and then: a write per request would wear out a
        disk."""
        used, self._used = self._used, {}
        if used:
            self._update(
                lambda tokens: [
                    replace(one, last_used=used.get((one.endpoint, one.id), one.last_used)) for one in tokens
                ]
            )

    def _match(self, endpoint: str, plaintext: str) -> Token | None:
        digest = _hash(plaintext)
        found = None
        for token in self._fresh():
            same = hmac.compare_digest(token.hash, digest)
            if same and token.endpoint == endpoint and token.valid(time.time()):
                found = token
        return found

    def _note(self, token: Token | None) -> Token | None:
        if token is not None:
            self._used[token.endpoint, token.id] = time.time()
        return token

    def _fresh(self) -> list[Token]:
        seen = self._store.changed()
        if seen != self._seen:
            self._known = [token for token in self._store.known() if token.revoked is None]
            self._seen = seen
        return self._known

    def _update(self, change: Callable[[list[Token]], list[Token]]) -> bool:
        """Whether there was anything to change."""
        for _ in range(_ATTEMPTS):
            tokens, revision = self._store.read()
            changed = change(tokens)
            if changed == tokens:
                return False
            if self._store.swap(changed, revision):
                return True
            time.sleep(secrets.randbelow(20) / 1000)
        raise TokenConflict(f"the tokens changed {_ATTEMPTS} times while they were being written; try again")


def _hash(plaintext: str) -> str:
    # No salt and no stretching: nobody guesses 256 random bits.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
