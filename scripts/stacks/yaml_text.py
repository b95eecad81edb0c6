"""YAML with the place of every part in the text, so that an edit changes what it means to and no other byte.

Dumping a file anew, even with its comments, joins lines, moves comments and drops spaces; in a pull request
that hides the one line that matters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

Edit = tuple[int, int, str]
"""Where an edit begins and ends in the old text, and what stands there afterwards."""


@dataclass(frozen=True)
class YamlNode:
    """One value of a YAML text."""

    kind: Literal["scalar", "list", "map", "alias"]
    start: int
    """Where it begins, its anchor and tag included."""
    end: int
    flow: bool = False
    value: str = ""
    """A scalar's text without its quotes."""
    anchor: str | None = None
    items: tuple[tuple["YamlNode", "YamlNode"], ...] = ()
    """A mapping's entries."""
    children: tuple["YamlNode", ...] = ()
    """A list's values."""

    def entry(self, key: str) -> tuple["YamlNode", "YamlNode"] | None:
        """The mapping's own entry of this name: key and value. Merged ones are not its own."""
        return next((item for item in self.items if item[0].kind == "scalar" and item[0].value == key), None)

    def within(self) -> Iterator["YamlNode"]:
        """This part and all parts in it."""
        yield self
        for child in (*self.children, *(part for item in self.items for part in item)):
            yield from child.within()


def parse(text: str) -> YamlNode:
    """Read a text that is known to be one YAML document. Raises yaml.YAMLError."""
    events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            return _part(next(events), events)
    return YamlNode("scalar", 0, 0)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text after these edits, which must not overlap."""
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def newline(text: str) -> str:
    """What ends the lines of a text."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def line_start(text: str, place: int) -> int:
    """Where the line of a place begins."""
    return text.rfind("\n", 0, place) + 1


def line_end(text: str, place: int) -> int:
    """Where the line after a place begins; a place behind a line's end is there already."""
    if place and text[place - 1] == "\n":
        return place
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def indent(text: str, place: int) -> int:
    """How far the line of a place is indented."""
    line = text[line_start(text, place) : line_end(text, place)]
    return len(line) - len(line.lstrip(" "))


def extent(text: str, end: int, column: int) -> int:
    """Where an entry that ends there really ends: comments below it that are indented deeper are its own."""
    place = after = line_end(text, end)
    while place < len(text):
        line = text[place : line_end(text, place + 1)]
        place += len(line)
        if line.lstrip().startswith("#") and len(line) - len(line.lstrip(" ")) > column:
            after = place
        elif line.strip():
            break
    return after


def inline(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...")


def block(value: Any) -> str:
    """A mapping as YAML on lines of its own, what is small in it inline; lines end with a line feed."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=float("inf"))


def _part(event: yaml.Event, events: Iterator[yaml.Event]) -> YamlNode:
    start, end = _places(event)
    anchor = getattr(event, "anchor", None)
    if isinstance(event, yaml.AliasEvent):
        return YamlNode("alias", start, end, value=str(anchor))
    if isinstance(event, yaml.ScalarEvent):
        return YamlNode("scalar", start, end, value=event.value, anchor=anchor)
    assert isinstance(event, yaml.CollectionStartEvent)  # noqa: S101 - the parser's grammar has no other
    parts, last = [], next(events)
    while not isinstance(last, yaml.CollectionEndEvent):
        parts.append(_part(last, events))
        last = next(events)
    flow = bool(event.flow_style)
    # A block's end is told where the next thing begins, comments and blank lines later.
    end = _places(last)[1] if flow or not parts else parts[-1].end
    if isinstance(event, yaml.SequenceStartEvent):
        return YamlNode("list", start, end, flow, anchor=anchor, children=tuple(parts))
    items = tuple(zip(parts[::2], parts[1::2], strict=True))
    return YamlNode("map", start, end, flow, anchor=anchor, items=items)


def _places(event: yaml.Event) -> tuple[int, int]:
    start, end = event.start_mark, event.end_mark
    return (start.index if start else 0), (end.index if end else 0)
