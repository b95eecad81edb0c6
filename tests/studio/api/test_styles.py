"""Styles: the team's file and each person's own, in A1111's format."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from easel.studio.styles import StyleFile

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


def named(files: dict, whose: str) -> list[str]:
    return [one["name"] for one in files[whose]]


def test_styles_are_written_as_a1111_writes_them(running) -> None:
    """Created, changed, renamed and deleted over HTTP; the file is A1111's: byte order mark, its columns."""
    ink = {"name": "Ink, wet", "prompt": 'a "wet" {prompt},\nink', "negative_prompt": "colour"}
    path = running.studio.outputs.owned("hedy") / "styles.csv"
    with running.ask("hedy") as hedy, running.ask("ada") as ada:
        assert hedy.post("/studio/styles/own", json=ink).status_code == 201
        content = path.read_bytes()
        assert content.startswith(codecs.BOM_UTF8 + b"name,prompt,negative_prompt\r\n")
        assert '"a ""wet"" {prompt},\nink"' in content.decode()
        assert hedy.get("/studio/styles").json()["own"] == [ink | {"look": None}]
        assert ink in hedy.get("/sdapi/v1/prompt-styles").json()
        assert named(ada.get("/studio/styles").json(), "own") == []
        assert hedy.post("/studio/styles/own", json=ink).status_code == 409
        other = {**ink, "name": "Ink/dry?", "prompt": "dry"}
        assert hedy.put("/studio/styles/own", params={"name": ink["name"]}, json=other).json() == other
        assert hedy.put("/studio/styles/own", params={"name": ink["name"]}, json=other).status_code == 404
        assert named(hedy.get("/studio/styles").json(), "own") == ["Ink/dry?"]
        assert hedy.delete("/studio/styles/own", params={"name": "Ink/dry?"}).status_code == 204
        assert hedy.delete("/studio/styles/own", params={"name": "Ink/dry?"}).status_code == 404
        assert hedy.get("/studio/styles").json()["own"] == []


def test_the_team_writes_the_teams(running) -> None:
    """Members write the team's styles for all; a visitor of a public endpoint only their own."""
    style = {"name": "House", "prompt": "in house colours"}
    with running.ask("ada") as ada, running.ask("anonymous/1") as visitor:
        assert visitor.get("/studio/styles").json()["may_change_team"] is False
        refused = visitor.post("/studio/styles/team", json=style)
        assert (refused.status_code, refused.json()["error"]) == (403, "NotYours")
        assert visitor.post("/studio/styles/own", json=style).status_code == 201
        assert ada.get("/studio/styles").json()["may_change_team"] is True
        assert ada.post("/studio/styles/team", json=style).status_code == 201
        assert "House" in named(visitor.get("/studio/styles").json(), "team")
        assert ada.delete("/studio/styles/team", params={"name": "House"}).status_code == 204
        assert ada.post("/studio/styles/everybody", json=style).status_code == 422


@pytest.mark.parametrize(
    "style",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "None"},
        {"name": "two\nlines"},
        {"name": "x" * 201},
        {"name": "x", "prompt": "y" * 50_001},
        {"name": "x", "negative_prompt": "\0"},
    ],
)
def test_what_no_file_can_keep_is_refused_in_words(running, style: dict) -> None:
    """The field is named, and nothing is written."""
    with running.ask("bad") as bad:
        refused = bad.post("/studio/styles/own", json=style)
        assert refused.status_code == 422
        field = next(key for key in reversed(style))
        assert field in refused.json()["errors"]
        assert bad.get("/studio/styles").json()["own"] == []


def test_a_file_that_cannot_be_read_is_not_written_over(running) -> None:
    """Somebody's collection in another encoding stays as it is."""
    path = running.studio.outputs.owned("old") / "styles.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes("name,prompt\nTür,über\n".encode("latin-1"))
    before = path.read_bytes()
    with running.ask("old") as old:
        refused = old.post("/studio/styles/own", json={"name": "x"})
    assert (refused.status_code, path.read_bytes()) == (507, before)
    assert "cannot be read" in refused.json()["errors"]


_ANOTHER = """
import sys
from pathlib import Path
from easel.studio.engine import Style
from easel.studio.styles import StyleFile
for number in range(20):
    StyleFile(Path(sys.argv[1])).add(Style(f"b{number}"))
"""


def test_writers_at_once_lose_nothing(running) -> None:
    """Requests of one person at once, and another replica that writes the same file: every style is there."""
    path = running.studio.outputs.owned("many") / "styles.csv"

    def add(number: int) -> int:
        with running.ask("many") as many:
            return many.post("/studio/styles/own", json={"name": f"a{number}"}).status_code

    with (
        subprocess.Popen([sys.executable, "-c", _ANOTHER, str(path)]) as another,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(add, range(60)))
        assert another.wait(60) == 0
    assert set(answers) == {201}
    assert len(StyleFile(path).read()) == 80
