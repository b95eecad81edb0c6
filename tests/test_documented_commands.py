"""What the docs tell people to type is what the `easel` command takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from scripts.__main__ import main
from tests.scripts.running import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCKS = re.compile(r"^\s*```[^\n]*\n(.*?)^\s*```", re.M | re.S)
_IN_BLOCK = re.compile(r"^(?:[A-Z_]+=\S+ |\$ |\w+=\$\()*(?:\.venv/bin/)?easel (.+)")
_INLINE = re.compile(r"`(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?easel ((?:token|models|files|secret) [^`\n]+)`")
_SHELL = re.compile(r"[|>#;&)]|\s{4,}")
"""What a shell takes for itself, and remarks beside a command."""


def commands(text: str) -> list[tuple[str, bool]]:
    """Every `easel …` of a page, and whether it is whole: within a sentence it may be but a beginning."""
    lines = [line.strip() for block in _BLOCKS.findall(text) for line in block.splitlines()]
    whole = [said[1] for line in lines if (said := _IN_BLOCK.match(line)) and "▶" not in line]
    return [(one, True) for one in whole] + [(one, False) for one in _INLINE.findall(text)]


def refusal(command: str, whole: bool) -> str:
    """What click says to a command, which is read to its last option and not run."""
    words = shlex.split(_SHELL.split(command)[0])
    at: click.Command = main
    context = click.Context(main, info_name="easel")
    while isinstance(at, click.Group) and words:
        name = words.pop(0)
        below = at.get_command(context, name)
        if below is None:
            return f"there is no {name!r}"
        context = click.Context(below, info_name=name, parent=context)
        at = below
    try:
        at.make_context(context.info_name, words, parent=context.parent)
    except click.UsageError as refused:
        told = refused.format_message()
        if "does not exist" in told:
            return ""
        missing = isinstance(refused, click.MissingParameter) or "requires an argument" in told
        return "" if missing and not whole and not _too_many(at, context, words) else told
    return ""


def _too_many(command: click.Command, context: click.Context, words: list[str]) -> bool:
    """Whether words stand there that belong to nothing."""
    if (
        any(isinstance(one, click.Argument) for one in command.params)
        or not words
        or words[-1].startswith("-")
    ):
        return False
    return bool(command.make_parser(context).parse_args(words)[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    """`easel token revoke --endpoint console prometheus` and `--type text_encoder` stood in pages, and the
    command itself refused them."""
    said = {one: refusal(one, whole) for one, whole in commands(page.read_text())}
    assert not {one: why for one, why in said.items() if why}


def test_what_is_wrong_is_seen() -> None:
    """A name that is not there, an option, a choice, a word too many, one too few."""
    lines = ("tok", "up --fast", "models list --type ship", "wake a b", "wake")
    found = commands("\n".join(["```", *(f"easel {line}" for line in lines), "```"]))
    assert len(found) == len(lines)
    assert all(refusal(*one) for one in found)
