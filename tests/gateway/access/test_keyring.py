"""The secrets that sign, through rotations, restarts and several gateways."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from easel.assertion import NotVouched, Verifier, parsed
from easel.gateway.access.keyring import OVERLAP, Keyring, SecretFile
from easel.gateway.access.oidc.login_state import LoginStates
from easel.gateway.access.operator_passes import OperatorPasses
from easel.gateway.access.request import ForwardedRequest
from easel.gateway.access.right import Right
from easel.gateway.access.sessions import MAX_AGE
from easel.gateway.errors import GatewayError, LoginFailed
from easel.gateway.home import Home
from tests.gateway.rings import Memory, ring

OPERATOR = Right("operator", "console", "@operator", "key")


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def knows(store: Memory, assertion: str) -> bool:
    """Whether a receiver that has what was published takes it."""
    try:
        return bool(Verifier(lambda: parsed(store.keys), "studio").user([assertion]))
    except NotVouched:
        return False


def test_an_overlap_is_a_sessions_longest_life() -> None:
    """Shorter, and somebody is signed out by a rotation; longer, and an old secret counts for nothing."""
    assert OVERLAP == MAX_AGE


def test_the_old_secret_counts_to_its_end() -> None:
    """A pass of the old secret opens until the overlap ends, however many rotations there are; the newest
    alone signs."""
    clock = Clock()
    keyring = ring("a" * 40, clock)
    first = OperatorPasses(keyring).issue("studio", OPERATOR)
    keyring.rotate()
    assert keyring.newest != "a" * 40
    assert keyring.retired == ["a" * 40]
    clock.now += OVERLAP / 2
    keyring.rotate()
    assert len(keyring.counting) == 3
    assert OperatorPasses(keyring).right("studio", first)
    clock.now += OVERLAP / 2 + 1
    assert len(keyring.counting) == 2
    assert not OperatorPasses(keyring).right("studio", first)
    clock.now += 7 * 24 * 3600
    keyring.rotate(now=True)
    assert len(keyring.counting) == 1


def test_secrets_that_nobody_needs_are_forgotten() -> None:
    """The file does not grow, and what was ended is not kept."""
    clock, store = Clock(), Memory("a" * 40)
    keyring = Keyring(store, clock)
    keyring.open()
    for _ in range(5):
        keyring.rotate(now=True)
        clock.now += 3600
    assert len(json.loads(store.text)["secrets"]) == 2


def test_a_secret_of_an_earlier_easel_is_taken(tmp_path: Path) -> None:
    """A plain line; sessions that it signed go on. The file stays for its owner alone."""
    path = tmp_path / "secret"
    path.write_text("o" * 64 + "\n")
    home = Home(tmp_path)
    home.run.mkdir()
    keyring = Keyring(SecretFile(home))
    keyring.open()
    assert keyring.newest == "o" * 64
    shown = OperatorPasses(keyring).issue("studio", OPERATOR)
    keyring.rotate()
    again = Keyring(SecretFile(home))
    again.open()
    assert OperatorPasses(again).right("studio", shown)
    assert again.newest == keyring.newest != "o" * 64
    assert {one.stat().st_mode & 0o777 for one in (path, home.keys)} == {0o600}


@pytest.mark.parametrize(
    "text",
    ["x", "short\n", "{", "{}", '{"secrets": []}', '{"secrets": [{"value": "short"}]}', '{"secrets": [7]}',
     json.dumps({"secrets": [{"value": "a" * 40, "until": 7.0}]})],
)  # fmt: skip
def test_a_damaged_secret_is_told_and_left(text: str) -> None:
    """Nobody signs with half a secret, and nothing is written over."""
    store = Memory(text)
    with pytest.raises(GatewayError, match="cut short or changed"):
        Keyring(store).open()
    with pytest.raises(GatewayError, match="cut short or changed"):
        Keyring(store).rotate()
    assert store.text == text


def test_two_gateways_go_by_the_same_secrets() -> None:
    """Whichever rotates: the other signs with the new one once it looked, and each knows the other's work."""
    store = Memory()
    one, two = Keyring(store), Keyring(store)
    one.open()
    two.open()
    assert one.newest == two.newest
    two.rotate()
    shown = OperatorPasses(one).issue("studio", OPERATOR)
    assert OperatorPasses(two).right("studio", shown)
    one.refresh()
    assert one.newest == two.newest
    one.rotate()
    two.rotate()
    one.refresh()
    assert one.counting == two.counting
    assert len(one.counting) == 4


def test_a_new_key_signs_once_everybody_has_it() -> None:
    """On AWS a host reads the keys once a minute: signed with one it has not read, every request would be
    403. The old key is known until nothing of it can be on its way."""
    clock = Clock()
    store = Memory("a" * 40, lead=300.0)
    keyring = Keyring(store, clock)
    keyring.open()
    keyring.publish()
    before = store.keys
    keyring.rotate(now=True)
    published = store.keys
    assert len(json.loads(published)["keys"]) == 2
    store.keys = before
    assert knows(store, keyring.vouch("ada", "studio"))
    clock.now += 301
    early = keyring.vouch("ada", "studio")
    assert not knows(store, early)
    store.keys = published
    assert knows(store, early)
    keyring.publish()
    assert len(json.loads(store.keys)["keys"]) == 2
    clock.now += 121
    keyring.publish()
    assert len(json.loads(store.keys)["keys"]) == 1
    assert knows(store, keyring.vouch("ada", "studio"))


def test_a_rotation_that_cannot_be_written_changes_nothing() -> None:
    """A full disk, a bucket that refuses: the old secret signs on."""

    class Full(Memory):
        def swap(self, text: str, revision: str, *, must: bool = False) -> bool:
            raise GatewayError("no space left")

    keyring = Keyring(Full("a" * 40))
    keyring.open()
    with pytest.raises(GatewayError, match="no space"):
        keyring.rotate(now=True)
    assert keyring.counting == ["a" * 40]


def test_a_sign_in_on_its_way_arrives() -> None:
    """Begun before a rotation and ended after: nonce and verifier are those of the secret it was begun with.
    With `now` it must be begun again."""
    keyring = ring()
    journeys = LoginStates(keyring)

    def ask(cookie: str = "") -> ForwardedRequest:
        headers: Mapping[str, str] = {"cookie": cookie.partition(";")[0]}
        return ForwardedRequest("GET", "/", headers)

    trip = journeys.begin("studio", ask(), "/", "about", quiet=False)
    another = journeys.begin("studio", ask(trip.cookie), "/", "about", quiet=False)
    keyring.rotate()
    back = journeys.back("studio", ask(trip.cookie), trip.state, "about")
    assert (back.nonce, back.verifier) == (trip.nonce, trip.verifier)
    keyring.rotate(now=True)
    with pytest.raises(LoginFailed):
        journeys.back("studio", ask(another.cookie), another.state, "about")
