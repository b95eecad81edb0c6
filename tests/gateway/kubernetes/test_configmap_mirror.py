"""The team's ConfigMaps as files: what is used, and what is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from easel.gateway.kubernetes import files_of

TEAM = {"metadata": {"name": "config-team"}, "data": {"team.json": '{"team": "art"}'}}


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {key.replace("_", "."): text for key, text in data.items()}}


def test_each_key_is_a_file() -> None:
    """As the program writes them: one ConfigMap a file, whatever their names."""
    found = files_of([TEAM, config("config-studio", studio_json='{"name": "studio"}')])
    assert found == ({"team.json": '{"team": "art"}', "studio.json": '{"name": "studio"}'}, "")


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ([], "no ConfigMap with the label easel/config=true has team.json"),
        ([TEAM, config("config-x", x_json="{")], "ConfigMap config-x: x.json is not JSON"),
        ([TEAM, config("config-x", x_json="[]")], "ConfigMap config-x: x.json is not a JSON object"),
        ([TEAM, config("other", team_json="{}")], "ConfigMap other has team.json, which another ConfigMap"),
        ([TEAM, {"metadata": {"name": "odd"}, "data": {"../x.json": "{}"}}], "ConfigMap odd has '../x.json'"),
    ],
)
def test_what_cannot_be_used_is_said(maps: list[dict[str, Any]], words: str) -> None:
    """And nothing of it is: a half-read configuration would end endpoints."""
    files, why = files_of(maps)
    assert files == {}
    assert why.startswith(words)
