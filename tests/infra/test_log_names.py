"""The logs that the docs name are those that are written: groups of CloudWatch, and files below `logs/`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.graph import provision

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
AS_AN_EXAMPLE = {"art": "<team>", "studio": "<endpoint>"}


def named(pattern: str) -> dict[str, str]:
    """What of the docs fits a pattern, with a page that has it."""
    return {found: page.name for page in DOCS for found in re.findall(pattern, page.read_text())}


def test_log_groups_of_the_docs_are_those_that_are_made() -> None:
    """Below a team's name are its endpoints, so the bake's group is elsewhere; it was told to be there."""
    graph = provision({"studio": {"shape": "gpu.a10"}})
    made = {_general(node.physical) for node in graph.of("LogGroup")}
    assert made == {"/easel/<team>", "/easel/<team>/<endpoint>", "/easel-bake/<team>"}
    told = named(r"/easel[\w-]*/(?:<team>|art)(?![\w-])(?:/[\w<>-]+)*")
    assert told, "the docs name some"
    for group, page in told.items():
        assert _general(group) in made, f"{page}: {group}"


def test_log_files_of_the_docs_are_those_that_are_written_and_none_is_left_out() -> None:
    """Below EASEL_HOME, by the gateway and by what it starts."""
    written = {name for path in (ROOT / "image" / "easel").rglob("*.py") for name in _files(path)}
    assert {"gateway.log", "caddy.log", "<endpoint>-<replica>.log"} <= written
    told = named(r"\blogs/([\w<>-]+\.log)\b")
    assert set(told) == written, told


def _general(group: str) -> str:
    return "/".join(AS_AN_EXAMPLE.get(part, part) for part in group.split("/"))


def _files(path: Path) -> Iterator[str]:
    """Names of log files in a module's code; `f"{endpoint}-{replica}.log"` as the docs write it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(_part(part) for part in node.values)
        else:
            continue
        if re.fullmatch(r"[\w<>-]+\.log", text):
            yield text


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"<{ast.unparse(part.value)}>"
    return str(part.value) if isinstance(part, ast.Constant) else ""
