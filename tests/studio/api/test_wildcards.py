"""Wildcards over HTTP: listed, read, written and drawn with; no name leads out of their folder."""

from __future__ import annotations

import json

import pytest

FILE = "/studio/wildcards/file"


def test_a_file_is_written_and_drawn_with(running) -> None:
    """By the name that prompts say, in any case; for all of the team, from the next picture on."""
    with running.ask("ada") as ada, running.ask("bob") as bob:
        text = "crimson\n# a remark\n"
        assert ada.put(FILE, params={"name": "shade/Red ones"}, json={"text": text}).status_code == 200
        assert {"name": "shade/red ones", "lines": 1} in bob.get("/studio/wildcards").json()
        assert bob.get(FILE, params={"name": "shade/red ones"}).json() == {"text": text}
        said = json.loads(running.draw("bob", prompt="a __shade/red ones__ star").json()["info"])
        assert said["all_prompts"] == ["a crimson star"]
        # in another case it is the same file, and not one more beside it
        bob.put(FILE, params={"name": "Shade/RED ones"}, json={"text": "scarlet\nruby"})
        assert {"name": "shade/red ones", "lines": 2} in ada.get("/studio/wildcards").json()
        assert ada.delete(FILE, params={"name": "shade/red ones"}).status_code == 204
        assert ada.delete(FILE, params={"name": "shade/red ones"}).status_code == 404
        assert ada.get(FILE, params={"name": "shade/red ones"}).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["", "..", "../x", "a/../b", "/etc/x", "a//b", ".hidden", "a\\b", "a__b", "__a", "a*", "a\0", "x" * 101,
     "a/b/c/d/e", "a/", "a.", "a(b)", "C:x", "a\nb"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(running, name: str) -> None:
    """In words, and nothing is written anywhere."""
    before = sorted(running.home.rglob("*.txt"))
    with running.ask("ada") as ada:
        refused = ada.put(FILE, params={"name": name}, json={"text": "x"})
    assert refused.status_code == 422
    assert "name is" in refused.json()["errors"]
    assert sorted(running.home.rglob("*.txt")) == before


def test_links_are_not_written_through(running, tmp_path) -> None:
    """A folder that an operator linked in is not somebody else's to fill."""
    folder = running.home / "models" / "wildcards"
    folder.mkdir(exist_ok=True)
    (folder / "elsewhere").symlink_to(tmp_path)
    with running.ask("ada") as ada:
        assert ada.put(FILE, params={"name": "elsewhere/x"}, json={"text": "x"}).status_code == 422
    assert list(tmp_path.iterdir()) == []
    (folder / "elsewhere").unlink()


def test_what_is_no_text_and_who_is_no_member_is_refused(running) -> None:
    """A megabyte at most, no zeros; visitors of a public endpoint read and do not write."""
    with running.ask("ada") as ada, running.ask("anonymous/7") as visitor:
        for text in ("x" * (1 << 20) + "y", "a\0b"):
            refused = ada.put(FILE, params={"name": "bad"}, json={"text": text})
            assert (refused.status_code, "text is" in refused.json()["errors"]) == (422, True)
        assert visitor.put(FILE, params={"name": "bad"}, json={"text": "x"}).status_code == 403
        assert visitor.delete(FILE, params={"name": "bad"}).status_code == 403
        assert visitor.get("/studio/wildcards").status_code == 200
