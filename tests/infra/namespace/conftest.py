"""The teams that rules are held against; KEDA's chart is not fetched by tests."""

from pathlib import Path

import pytest

import infra.keda
from infra.namespace.manifest import Manifest
from tests.infra.namespace.teams import TEAMS, Team, objects_of


@pytest.fixture(autouse=True)
def chart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file in its place, for what only passes its path on."""
    monkeypatch.setattr(infra.keda, "chart", lambda: tmp_path / "keda.tgz")


@pytest.fixture(params=TEAMS)
def team(request: pytest.FixtureRequest) -> Team:
    """Each of the teams."""
    return TEAMS[request.param]


@pytest.fixture
def objects(team: Team) -> list[Manifest]:
    """Its manifests."""
    return objects_of(team)
