"""The secrets that sign: sessions, passes and sign-ins by all that still count, assertions by a key of each.

A new secret does not end what the old one signed: for a session's longest life that is read still, and
whoever comes back gets it signed anew. So rotating signs nobody out; `now=True` ends the old ones at once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

from easel.gateway.disk import Document, SharedFile, write_private
from easel.gateway.errors import GatewayError, unwritable
from easel.gateway.home import Home
from easel.remark import remark

if TYPE_CHECKING:
    from easel.assertion import Signer, Verifier

# Seconds: a month, as long as a browser's session lasts (sessions.MAX_AGE).
OVERLAP = 30 * 24 * 3600.0
# Seconds that an old key's assertions count beyond it: those on their way when it was replaced.
_ON_THEIR_WAY = 120.0
_SHORTEST = 32
_ATTEMPTS = 20


@dataclass(frozen=True)
class Secret:
    """One secret. Times are Unix seconds; `until` is None for the newest."""

    value: str
    made: float = 0.0
    until: float | None = None


class SecretStore(Document, Protocol):
    """Keeps the secrets' text, and gives out the public keys. It blocks."""

    lead: float
    """Seconds until every receiver has a new public key for sure."""

    def publish(self, keys: str) -> None:
        """Put the public keys where replicas find them. Raises GatewayError."""
        ...


class Keyring:
    """The secrets of one team."""

    def __init__(self, store: SecretStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._secrets: list[Secret] = []  # the newest first
        self._published = ""
        self._signers: dict[str, Signer] = {}

    def open(self) -> None:
        """Read the secrets; the first is made by whichever gateway is first. Raises GatewayError."""
        content, revision = self._store.read()
        if not revision:
            self._store.swap(_text([_new(self._clock())]), "", must=True)
            # Read again, whether it was ours or another gateway's that came first.
            content, _ = self._store.read()
        self._secrets = _parsed(content, self._store.name)

    def refresh(self) -> None:
        """See what another gateway wrote, and have replicas find its key. Raises GatewayError; what is known
        stays known."""
        self._secrets = _parsed(self._store.read()[0], self._store.name)
        self.publish()

    def rotate(self, *, now: bool = False) -> Secret:
        """Make a new secret; the old ones count for `OVERLAP` seconds more, or no longer if `now`. Raises
        GatewayError."""
        for _ in range(_ATTEMPTS):
            content, revision = self._store.read()
            moment = self._clock()
            ends = moment if now else moment + OVERLAP
            old = [
                replace(one, until=ends if one.until is None else min(one.until, ends))
                for one in _parsed(content, self._store.name)
                if one.until is None or self._trusted(one, moment)
            ]
            rotated = [_new(moment), *old]
            # A leaked secret is replaced on a full disk too, and a gateway starts on one.
            if self._store.swap(_text(rotated), revision, must=True):
                self._secrets = rotated
                self.publish()
                return rotated[0]
        words = "{name} is written by others all the time; try again"
        raise GatewayError(remark("secret_contended", words, name=self._store.name))

    def publish(self) -> None:
        """See that replicas find the public keys, if those are others than last time. Raises GatewayError."""
        keys = self._public()
        if keys != self._published:
            self._store.publish(keys)
            self._published = keys

    @property
    def newest(self) -> str:
        """What signs."""
        return self._secrets[0].value

    @property
    def counting(self) -> list[str]:
        """All that what is shown may be signed by, the newest last (as itsdangerous wants them)."""
        moment = self._clock()
        return [one.value for one in reversed(self._secrets) if one.until is None or moment < one.until]

    @property
    def retired(self) -> list[str]:
        """Those of `counting` that sign no more."""
        return self.counting[:-1]

    def vouch(self, user: str, endpoint: str) -> str:
        """An assertion that `user` asks something of `endpoint`."""
        moment = self._clock()
        # A key that replicas may not have yet is for later.
        known = (one for one in self._secrets if one.made + self._store.lead <= moment)
        return self._signer(next(known, self._secrets[-1])).sign(user, endpoint)

    def verifier(self, endpoint: str) -> Verifier:
        """Knows our own assertions for `endpoint`."""
        from easel.assertion import Verifier, parsed

        return Verifier(lambda: parsed(self._public()), endpoint)

    def _public(self) -> str:
        from easel.assertion import key_set

        moment = self._clock()
        return key_set(self._signer(one) for one in self._secrets if self._trusted(one, moment))

    def _trusted(self, one: Secret, moment: float) -> bool:
        return one.until is None or moment < one.until + self._store.lead + _ON_THEIR_WAY

    def _signer(self, one: Secret) -> Signer:
        # Only here: what signs takes a while to import, and the door opens meanwhile.
        from easel.assertion import Signer

        if one.value not in self._signers:
            self._signers[one.value] = Signer(one.value)
        return self._signers[one.value]


class SecretFile(SharedFile):
    """`EASEL_HOME/secret`; the public keys are `run/keys.json`."""

    # A studio looks at the file whenever it is asked something.
    lead = 0.0

    def __init__(self, home: Home) -> None:
        super().__init__(home.root / "secret")
        self._keys = home.keys

    def swap(self, text: str, revision: str, *, must: bool = False) -> str:
        """Replace the file as a whole if nobody else did since `revision`. Raises GatewayError."""
        try:
            return super().swap(text, revision, must=must)
        except OSError as error:
            raise unwritable(self.name, error) from None

    def publish(self, keys: str) -> None:
        """Write `run/keys.json`. Raises GatewayError."""
        try:
            write_private(self._keys, keys + "\n", must=True)
        except OSError as error:
            raise unwritable(self._keys, error) from None


def _new(moment: float) -> Secret:
    return Secret(secrets.token_urlsafe(48), moment)


def _text(found: list[Secret]) -> str:
    return json.dumps({"version": 1, "secrets": [asdict(one) for one in found]}, indent=1) + "\n"


def _parsed(content: bytes, name: str) -> list[Secret]:
    """The secrets of a text, the newest first. What is no JSON is the one secret of an earlier Easel."""
    text = content.decode("ascii", "replace")
    try:
        if text[:1] == "{":
            found = [Secret(**fields) for fields in json.loads(text)["secrets"]]
        else:
            found = [Secret(text.strip())]
        whole = bool(found) and all(len(one.value) >= _SHORTEST for one in found) and found[0].until is None
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise GatewayError(
            f"{name} is cut short or changed: remove it; a new one is made, and everybody opens their link "
            "again"
        )
    return found
