"""docs/architecture.md's map is held against the imports: parts, rooms, and each hop of its walks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_imports import FOLDERS, ROOT, imports, modules, within

MAP = (ROOT / "docs" / "architecture.md").read_text().partition("## Processes")[0]
TABLES = re.findall(r"^\|.*takes from \|\n\|[-|]+\|\n((?:\|.*\n)+)", MAP, re.MULTILINE)
BELOW = {0: "", 1: "easel.gateway.", 2: "easel.studio."}
HOPS = re.findall(r"^\| (.+?) \| `(\S+?)` \| (.+) \|$", MAP, re.MULTILINE)


def rows(number: int) -> list[tuple[str, set[str]]]:
    """The parts that a table lists, from above to below, and what each takes from."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLES[number].splitlines()]
    return [
        (BELOW[number] + row[0].strip("`"), {BELOW[number] + name for name in re.findall(r"`(.+?)`", row[2])})
        for row in cells
    ]


def taken(part: str, listed: set[str]) -> set[str]:
    """The listed parts that a part imports from; the innermost is meant."""

    def innermost(name: str) -> str:
        return max((one for one in listed if within(name, one)), key=len, default="")

    return {
        innermost(imported)
        for name, path in modules()
        if innermost(name) == part
        for imported, _ in imports(name, path)
    } - {part, ""}


@pytest.mark.parametrize("number", BELOW)
def test_the_map_lists_every_part_and_what_it_takes_from(number: int) -> None:
    """Neither an arrow that is gone nor one that nobody drew; none points upwards."""
    table = rows(number)
    listed = {part for part, _ in table}
    assert {part: taken(part, listed) for part in listed} == dict(table)
    seen: set[str] = set()
    for part, sources in reversed(table):
        assert sources <= seen | {one for one in listed if within(one, "easel.assertion")}, part
        seen.add(part)


@pytest.mark.parametrize(("number", "folder"), [(1, "gateway"), (2, "studio")])
def test_no_room_is_left_out(number: int, folder: str) -> None:
    """A package that is not on the map is not found by walking."""
    base = FOLDERS["easel"] / folder
    found = {
        ".".join(("easel", folder, *door.parent.relative_to(base).parts))
        for door in base.rglob("__init__.py")
        if door.parent != base and any(door.parent.glob("[a-z]*.py"))
    }
    assert found <= {part for part, _ in rows(number)}


@pytest.mark.parametrize(("start", "end", "how"), HOPS)
def test_a_hop_of_a_walk_is_an_import_or_says_how_else(start: str, end: str, how: str) -> None:
    """Both files are there, and the first imports the second, by its door perhaps."""
    for path in re.findall(r"`((?:easel|infra|scripts|stacks)/\S+?)`", f"{start} `{end}` {how}"):
        assert place(path).is_file(), path
    if start.startswith("`") and not start.startswith("`stacks/") and "HTTP" not in how:
        target = module(end)
        parts = target.split(".")
        doors = {".".join(parts[:count]) for count in range(2, len(parts) + 1)}
        assert doors & {name for name, _ in imported_by(start.strip("`"))}, f"{start} does not import {end}"


def place(path: str) -> Path:
    """Where a file of the map lies."""
    return ROOT / "image" / path if path.startswith("easel/") else ROOT / path


def module(path: str) -> str:
    """The name that a file is imported by."""
    return path.removesuffix(".py").removesuffix("/__init__").removesuffix("/__main__").replace("/", ".")


def imported_by(path: str) -> Iterator[tuple[str, int]]:
    """What a file of the map imports."""
    return imports(module(path), place(path))


def test_what_a_contributor_is_sent_to_is_there() -> None:
    """CONTRIBUTING names files and folders by their path from the repository's root."""
    named = re.findall(
        r"`((?:image|infra|scripts|tests|docs)/[\w/.]+)`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(named) > 15
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_map_is_read() -> None:
    """Tables that are not found would hold nothing."""
    assert len(TABLES) == len(BELOW)
    assert len(HOPS) > 35
