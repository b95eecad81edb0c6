"""What a gateway tells of what it stands on: once, until it is something else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from easel.gateway.access import Access
from easel.gateway.config import Config, Team
from easel.gateway.deployment.aws import AwsDeployment
from easel.gateway.deployment.telling import Telling, spending_from
from easel.gateway.errors import ProviderError
from easel.gateway.events import Events
from easel.gateway.home import Home
from tests.gateway.replicas.aws.conftest import TeamBucket
from tests.gateway.replicas.aws.region import REGION


def told(events: Events) -> list[str]:
    return [each.text for each in events.of()]


def test_the_same_trouble_is_told_once_and_again_after_it_was_over() -> None:
    """And of two things that are wrong neither makes the other new."""
    events = Events()
    telling = Telling(events, "aws")
    for _ in range(3):
        telling.once("the bucket", "denied")
        telling.once("links", "not yet")
    assert told(events) == ["denied", "not yet"]
    telling.once("the bucket", "")
    telling.once("links", "not yet")
    telling.once("the bucket", "denied")
    assert told(events) == ["denied", "not yet", "denied"]
    assert telling.last == "denied"


class Refusing:
    """A ledger that nobody may read."""

    def place(self, key: str) -> str:
        return key

    def get(self, key: str) -> None:
        raise ProviderError("AccessDenied")

    def put(self, key: str, content: bytes, etag: str | None) -> str | None:
        raise ProviderError("AccessDenied")


@pytest.mark.anyio
async def test_a_ledger_that_cannot_be_read_is_told_and_counted_from_now_on() -> None:
    """The fuse works all the same."""
    events = Events()
    spending = await spending_from(Refusing(), Telling(events, "aws"))
    assert told(events) == [
        "what was spent this month is not known, and is counted from now on: AccessDenied"
    ]
    spending.count("studio", 2.0, [0.0], 3600.0)
    assert spending.dollars(3600.0) == pytest.approx(2.0)


@pytest.mark.anyio
async def test_a_link_that_cannot_be_taken_is_no_event_every_quarter_of_a_minute(
    place: TeamBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look that went well made the same words about links new ones."""
    looks: list[int] = []
    events = Events()
    place.write("config/team.json", {"team": "art"})
    here = AwsDeployment(Home(tmp_path), events, place.name, REGION, aws=place.aws, every=0.01)

    async def refused(*_: object) -> str:
        looks.append(1)
        return "a first link does not open its endpoint yet: denied"

    monkeypatch.setattr("easel.gateway.deployment.aws.take_links", refused)
    (tmp_path / "config").mkdir()
    following = asyncio.create_task(here.follow(lambda: Config(Team(), {}), Access.__new__(Access)))
    async with asyncio.timeout(20):
        while len(looks) < 4:
            await asyncio.sleep(0.05)
    following.cancel()
    assert len([text for text in told(events) if "first link" in text]) == 1
