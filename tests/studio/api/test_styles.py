"""Styles: the team's file and each person's own, in A1111's format."""

from __future__ import annotations

import json

import pytest

TEAM = """\ufeffname,prompt,negative_prompt
Ink,"ink drawing of {prompt}, black",colour
Big,big,
"""
OWN = "name,prompt,negative_prompt\nBig,very big,small\n"


@pytest.fixture(scope="module")
def styled(running):
    """A team's file, and one of grace's."""
    outputs = running.studio.outputs
    own = outputs.owned("grace")
    own.mkdir(parents=True, exist_ok=True)
    outputs.folder.joinpath("styles.csv").write_text(TEAM, encoding="utf-8")
    own.joinpath("styles.csv").write_text(OWN)
    yield running
    outputs.folder.joinpath("styles.csv").unlink()


def test_the_teams_and_ones_own(styled) -> None:
    """Everybody sees the team's; one's own come before the team's of the same name and are nobody else's."""
    with styled.ask("grace") as grace, styled.ask("ada") as ada:
        hers = {one["name"]: one for one in grace.get("/sdapi/v1/prompt-styles").json()}
        others = {one["name"]: one for one in ada.get("/sdapi/v1/prompt-styles").json()}
    assert list(hers) == ["Ink", "Big"]
    assert (hers["Big"]["prompt"], others["Big"]["prompt"]) == ("very big", "big")
    assert others["Ink"]["negative_prompt"] == "colour"


def test_styles_are_drawn_with(styled) -> None:
    """The prompt is put into a style's place or in front; unknown ones are told and stop nothing."""
    said = json.loads(
        styled.draw("grace", prompt="a star", styles=["Ink", "Big", "None", "?"]).json()["info"]
    )
    assert said["prompt"] == "ink drawing of a star, black, very big"
    assert said["negative_prompt"] == "colour, small"
    assert said["styles"] == ["Ink", "Big", "None", "?"]
    assert any("passed over: ?" in words for words in said["comments"])
