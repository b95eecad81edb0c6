"""The team's bucket: configuration followed, tokens and secret by conditional writes, what was spent."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from easel.gateway.access.bucket_records import (
    ENDED_KEY,
    SECRET,
    TOKENS_KEY,
    BucketSecret,
    ended_of,
    tokens_of,
)
from easel.gateway.access.ended_sessions import End, EndedSessions
from easel.gateway.access.keyring import Keyring
from easel.gateway.access.rights import Right
from easel.gateway.access.tokens import Tokens, _hash
from easel.gateway.aws.config_mirror import ConfigMirror
from easel.gateway.config import Config, Team
from easel.gateway.deployment.aws import AwsDeployment
from easel.gateway.errors import GatewayError
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.replicas.open_requests import OpenRequests
from tests.gateway.replicas.aws.conftest import TeamBucket
from tests.gateway.replicas.aws.region import REGION

_names = itertools.count(1)
NOV = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


# ── configuration ────────────────────────────────────────────────────────────────────────────────


def test_the_folder_becomes_what_the_prefix_is(place: TeamBucket, tmp_path: Path) -> None:
    """New, changed and removed objects; only what changed is fetched; other keys are none of ours."""
    mirror = ConfigMirror(place.bucket, tmp_path, place.said.append)
    place.write("config/team.json", {"team": "art"})
    place.write("config/studio.json", {"name": "studio"})
    place.write("config/deep/er.json", {})
    place.write("run/tokens.json", {})
    assert mirror.sync()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studio.json", "team.json"]
    place.faults.asked.clear()
    assert mirror.sync()
    assert place.faults.asked == ["list_objects_v2"]
    place.write("config/studio.json", {"name": "studio", "idle": 60})
    assert mirror.sync()
    assert json.loads((tmp_path / "studio.json").read_text())["idle"] == 60
    place.s3.delete_object(Bucket=place.name, Key="config/studio.json")
    assert mirror.sync()
    assert [path.name for path in tmp_path.iterdir()] == ["team.json"]
    assert place.said == []


@pytest.mark.parametrize(
    ("error", "looks", "says"),
    [
        (("AccessDenied", "not authorized to perform: s3:ListBucket"), 1, "s3:ListObjectsV2"),
        (("NoSuchBucket", "The specified bucket does not exist"), 1, "NoSuchBucket"),
        (("ExpiredToken", "expired"), 1, "credentials"),
        (("SlowDown", "Please reduce your request rate."), 3, "slower"),
    ],
)
def test_what_cannot_be_fetched_leaves_the_last(
    place: TeamBucket, tmp_path: Path, error: tuple[str, str], looks: int, says: str
) -> None:
    """A refusal is said once with its reason, the files stay, and the end of it is said too."""
    mirror = ConfigMirror(place.bucket, tmp_path, place.said.append)
    place.write("config/team.json", {"team": "art"})
    assert mirror.sync()
    place.faults["list_objects_v2"] = error
    for look in range(looks):
        assert place.said == [], look
        assert not mirror.sync()
    mirror.sync()
    assert len(place.said) == 1
    assert says in place.said[0]
    assert json.loads((tmp_path / "team.json").read_text()) == {"team": "art"}
    place.faults.clear()
    assert mirror.sync()
    assert "followed again" in place.said[1]


def test_an_emptied_bucket_empties_nothing(place: TeamBucket, tmp_path: Path) -> None:
    """Somebody removed the team's configuration by mistake: endpoints stay, the reason is said."""
    mirror = ConfigMirror(place.bucket, tmp_path, place.said.append)
    for name in ("team", "studio"):
        place.write(f"config/{name}.json", {})
    assert mirror.sync()
    for name in ("team", "studio"):
        place.s3.delete_object(Bucket=place.name, Key=f"config/{name}.json")
    assert not mirror.sync()
    assert len(list(tmp_path.iterdir())) == 2
    assert "team.json is not there" in place.said[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": "' + b"x" * 1_100_000 + b'"}'])
def test_a_damaged_object_is_not_taken(place: TeamBucket, tmp_path: Path, content: bytes) -> None:
    """What is no JSON object does not come onto the disk, where a restart would find nothing else."""
    mirror = ConfigMirror(place.bucket, tmp_path, place.said.append)
    place.write("config/team.json", {"team": "art"})
    assert mirror.sync()
    place.s3.put_object(Bucket=place.name, Key="config/team.json", Body=content)
    assert not mirror.sync()
    assert json.loads((tmp_path / "team.json").read_text()) == {"team": "art"}
    assert "config/team.json" in place.said[0]


def test_a_look_at_a_bucket_where_nothing_changed_is_one_question(place: TeamBucket, tmp_path: Path) -> None:
    """It is asked all month: a LIST each time and no GET beside it; what changed is seen by the next look."""
    place.write("config/team.json", {"team": "art"})
    place.write("config/studio.json", {"name": "studio"})
    place.write("run/tokens.json", {"version": 1, "tokens": []})
    (tmp_path / "config").mkdir()
    here, asked = (
        AwsDeployment(Home(tmp_path), Events(), place.name, REGION, aws=place.aws),
        place.faults.asked,
    )
    here.look()
    asked.clear()
    for _ in range(5):
        here.look()
    assert asked == ["list_objects_v2"] * 5
    other = tokens_of(place.bucket)
    Tokens(other).new("studio", "somebody")
    asked.clear()
    here.look()
    assert asked == ["list_objects_v2", "get_object"]
    store = asyncio.run(here.tokens())
    assert [token.name for token in store.known()] == ["somebody"]


def test_tokens_are_seen_also_where_the_bucket_may_not_be_listed(place: TeamBucket, tmp_path: Path) -> None:
    """A boundary may take the one right and leave the other: revoking must still be seen."""
    place.write("run/tokens.json", {"version": 1, "tokens": []})
    here = AwsDeployment(Home(tmp_path), Events(), place.name, REGION, aws=place.aws)
    place.faults.rules["list_objects_v2"] = ("AccessDenied", "no")
    here.look()
    assert "get_object" in place.faults.asked


@pytest.mark.anyio
async def test_it_looks_less_often_while_everything_sleeps(
    place: TeamBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as often as ever from the moment that something wakes."""
    place.write("config/team.json", {"team": "art"})
    here = AwsDeployment(Home(tmp_path), Events(), place.name, REGION, aws=place.aws, every=15, asleep=60)
    assert here.pause() == 15  # nothing is known yet
    backend = await here.backend(lambda *_: "", lambda: Config(Team(), {}), OpenRequests())
    assert here.pause() == 60
    monkeypatch.setattr(type(backend), "awake", True)
    assert here.pause() == 15


# ── tokens and secret ────────────────────────────────────────────────────────────────────────────


def test_tokens_are_one_list_for_all_gateways(place: TeamBucket) -> None:
    """One writes, the other sees it after a look; a check at the door asks S3 nothing."""
    one, two = tokens_of(place.bucket), tokens_of(place.bucket)
    plaintext = Tokens(one).new("studio", "ada")
    assert not Tokens(two).is_valid("studio", plaintext)
    two.read()
    place.faults.asked.clear()
    assert Tokens(two).is_valid("studio", plaintext)
    assert place.faults.asked == []
    assert plaintext not in place.read(TOKENS_KEY)
    Tokens(two).revoke("studio", "ada")
    one.read()
    assert not Tokens(one).is_valid("studio", plaintext)


def test_writers_at_once_lose_nothing(place: TeamBucket) -> None:
    """Four writers with three tokens each: twelve tokens."""
    stores = [Tokens(tokens_of(place.bucket)) for _ in range(4)]

    def write(number: int) -> None:
        for turn in range(3):
            stores[number].new("studio", f"t{number}-{turn}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(place.read(TOKENS_KEY))["tokens"]) == 12


def test_a_stale_revision_is_refused(place: TeamBucket) -> None:
    """A swap over what somebody else wrote, over nothing that is there, or over what is gone, is none."""
    one, two = tokens_of(place.bucket), tokens_of(place.bucket)
    tokens, revision = one.read()
    assert two.swap([], "")
    assert not one.swap(tokens, revision)
    _, revision = one.read()
    place.s3.delete_object(Bucket=place.name, Key=TOKENS_KEY)
    assert not one.swap([], revision)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"tokens": [{"x": 1}]}', b"\xff"])
def test_damaged_tokens_are_told(place: TeamBucket, body: bytes) -> None:
    """Nobody is let in by a guess, and nobody's tokens are written over."""
    place.s3.put_object(Bucket=place.name, Key=TOKENS_KEY, Body=body)
    with pytest.raises(GatewayError, match="is not a file of tokens"):
        Tokens(tokens_of(place.bucket)).new("studio", "ada")


def test_the_door_stays_open_while_s3_is_shut(place: TeamBucket) -> None:
    """Known tokens open; making one says why it cannot be made."""
    store = tokens_of(place.bucket)
    tokens = Tokens(store)
    plaintext = tokens.new("studio", "ada")
    place.faults["*"] = ("AccessDenied", "denied")
    with pytest.raises(GatewayError, match="s3:GetObject"):
        tokens.new("studio", "bob")
    assert tokens.is_valid("studio", plaintext)


def test_revoking_counts_while_s3_is_shut(place: TeamBucket) -> None:
    """At once in memory, and in the bucket as soon as it answers; ended sessions likewise."""
    store, ends = tokens_of(place.bucket), ended_of(place.bucket)
    tokens, ended = Tokens(store), EndedSessions(ends)
    plaintext = tokens.new("studio", "ada")
    right = Right("token", "studio", "ada", "id", "browser", time.time())
    place.faults["*"] = ("AccessDenied", "denied")
    assert tokens.revoke("studio", "ada")
    assert not ended.session(right)
    assert not tokens.is_valid("studio", plaintext)
    assert ended.covers(right)
    assert not tokens.settle()
    assert not tokens.settled
    place.faults.clear()
    assert tokens.settle()
    assert ended.settle()
    assert json.loads(place.read(TOKENS_KEY))["tokens"] == []
    elsewhere = ended_of(place.bucket)
    elsewhere.read()
    assert EndedSessions(elsewhere).covers(right)


def test_two_gateways_lose_no_end_and_keep_none_too_long(place: TeamBucket) -> None:
    """Both write at once; what has expired is dropped by the next writing."""
    old = End("member", "old@example.com", 1.0, 2.0)
    assert ended_of(place.bucket).swap([old], "")
    one, two = EndedSessions(ended_of(place.bucket)), EndedSessions(ended_of(place.bucket))
    assert one.member("ann@example.com")
    assert two.token("studio", "0123")
    kept = json.loads(place.read(ENDED_KEY))["ended"]
    assert [end["whose"] for end in kept] == ["ann@example.com", "studio 0123"]


def test_a_first_token_is_taken_once(place: TeamBucket) -> None:
    """By its hash; revoked, it stays so although the configuration still names it; a new hash replaces it."""
    tokens = Tokens(tokens_of(place.bucket))
    first, second = "easel_" + "a" * 43, "easel_" + "b" * 43
    assert tokens.adopt({"studio": _hash(first)}) == ["studio"]
    assert tokens.adopt({"studio": _hash(first)}) == []
    assert tokens.is_valid("studio", first)
    assert [token.name for token in tokens.of("studio")] == ["link"]
    assert tokens.revoke("studio", "link")
    again = Tokens(tokens_of(place.bucket))
    again.of()
    assert again.adopt({"studio": _hash(first)}) == []
    assert not again.is_valid("studio", first)
    assert again.of("studio") == []
    assert again.adopt({"studio": _hash(second)}) == ["studio"]
    third = "easel_" + "c" * 43
    assert again.adopt({"studio": _hash(third)}) == ["studio"]
    assert not again.is_valid("studio", second)
    assert again.is_valid("studio", third)
    # Made by hand, a token of the same name is nobody's first one.
    assert again.revoke("studio", "link")
    assert again.is_valid("studio", again.new("studio", "link"))


def test_the_secret_is_made_once(place: TeamBucket) -> None:
    """Two gateways that begin at once sign with one key; a damaged one is told."""
    found: list[str] = []

    def begin() -> None:
        keyring = Keyring(BucketSecret(place.bucket))
        keyring.open()
        keyring.publish()
        found.append(keyring.newest)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) > 40
    place.s3.put_object(Bucket=place.name, Key=SECRET, Body=b"")
    with pytest.raises(GatewayError, match="cut short"):
        Keyring(BucketSecret(place.bucket)).open()
