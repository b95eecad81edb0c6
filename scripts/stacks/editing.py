"""Edits of a stack file's text: set a field, copy an endpoint, add an endpoint."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.stacks.yaml_text import (
    Edit,
    YamlNode,
    block,
    edited,
    extent,
    indent,
    inline,
    line_end,
    line_start,
    newline,
    parse,
)

ENDPOINTS = "easel:endpoints"
# Words that YAML 1.1 or Pulumi's reader takes for something else than a name.
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")

Way = tuple[str, ...]


def endpoints_of(text: str) -> YamlNode | None:
    """The value of `easel:endpoints`, if it is there."""
    found = _config(text).entry(ENDPOINTS)
    return found[1] if found else None


def setting(text: str, above: YamlNode, way: Way, value: Any, now: Mapping[str, Any]) -> Iterator[Edit]:
    """The edits that give a field a value. `now` is what `above` says with its anchors followed."""
    key, *rest = way
    own = above.entry(key)
    inner = now.get(key)
    if rest and own and own[1].kind == "map" and own[1].items:
        yield from setting(text, own[1], tuple(rest), value, inner if isinstance(inner, Mapping) else {})
        return
    new = changed(now, way, value)
    if own:
        space = " " if own[1].start == own[1].end else ""
        yield own[1].start, own[1].end, space + inline(new)
    else:
        first = above.items[0][0].start
        between = ", " if above.flow else newline(text) + " " * indent(text, first)
        yield first, first, f"{key}: {inline(new)}{between}"


def changed(now: Mapping[str, Any], way: Way, value: Any) -> Any:
    """What the first field of a way holds once the last one has this value."""
    if len(way) == 1:
        return value
    inner = now.get(way[0])
    return {**(inner if isinstance(inner, Mapping) else {}), way[1]: value}


def copied(
    text: str, source: str, name: str, changes: Mapping[Way, Any], now: Mapping[str, Any]
) -> str | None:
    """The text of an endpoint under another name, comments and all. None where it has no text of its own."""
    endpoints = endpoints_of(text)
    found = endpoints.entry(source) if endpoints else None
    if endpoints is None or found is None:
        return None  # it comes by an alias or a merge
    key, value = found
    if endpoints.flow:
        start, end = key.start, value.end
    else:
        start = line_start(text, key.start)
        end = extent(text, max(value.end, key.end), indent(text, start))
    edits: list[Edit] = [(key.start, key.end, _named(name, text[key.start]))]
    if value.kind == "alias" and changes:
        new = inline({way[0]: changed(now, way, to) for way, to in changes.items()})[1:-1]
        edits.append((value.start, value.end, f"{{<<: {text[value.start : value.end]}, {new}}}"))
    elif value.items:
        for way, to in changes.items():
            edits += setting(text, value, way, to, now)
    # An anchor that is there twice means the second from then on: the copy has none.
    for part in value.within():
        if part.anchor:
            mark = re.compile(rf"&{re.escape(part.anchor)}[ \t]*").search(text, part.start)
            if mark:
                edits.append((mark.start(), mark.end(), ""))
    own = edited(text[:end], edits)[start:]
    return own if endpoints.flow or own.endswith("\n") else own + newline(text)


def plain(name: str, values: Mapping[str, Any]) -> str:
    """The text of an endpoint from its values, as lines at the left edge."""
    return block({name: dict(values)})


def added(text: str, name: str, own: str | None, values: Mapping[str, Any]) -> str:
    """The text with one endpoint more: `own` as its text where that fits its new place, else its values."""
    config = _config(text)
    found = config.entry(ENDPOINTS)
    if found is None:
        return _first(text, config, name, own, values)
    key, there = found
    here = inline({name: dict(values)})[1:-1]
    if there.kind == "alias":
        return edited(text, [(there.start, there.end, f"{{<<: {text[there.start : there.end]}, {here}}}")])
    if there.kind == "map" and there.items:
        return _into_flow(text, there, own, here) if there.flow else _below(text, there, name, own, values)
    if config.flow:
        space = " " if there.start == there.end else ""
        return edited(text, [(there.start, there.end, f"{space}{{{here}}}")])
    deep = indent(text, key.start)
    lines = _lines(text, name, own, values, deep * 2 or 2)
    return _inserted(edited(text, [(there.start, there.end, "")]), line_end(text, there.end), lines, there)


def _config(text: str) -> YamlNode:
    found = parse(text).entry("config")
    return found[1] if found else YamlNode("map", len(text), len(text))


def _named(name: str, first: str) -> str:
    if first in "\"'":
        return first + name + first
    return f'"{name}"' if name in _WORDS else name


def _below(text: str, there: YamlNode, name: str, own: str | None, values: Mapping[str, Any]) -> str:
    """One entry more below a mapping's last."""
    column = indent(text, there.items[0][0].start)
    ends = [extent(text, max(value.end, key.end), column) for key, value in there.items]
    lines = _lines(text, name, own, values, column)
    if len(ends) > 1:
        between = text[ends[-2] : there.items[-1][0].start].split("\n")
        if any(not line.strip() for line in between[:-1]):
            lines = newline(text) + lines
    return _inserted(text, ends[-1], lines)


def _into_flow(text: str, there: YamlNode, own: str | None, here: str) -> str:
    """One entry more before a mapping's closing brace."""
    last = there.items[-1][1].end or there.items[-1][0].end
    new = own if own and "\n" not in own else here
    comma = re.match(r"\s*,", text[last:])
    place = last + comma.end() if comma else last
    # Where each entry has a line, the new one has too.
    first = there.items[0][0].start
    lined = not text[line_start(text, first) : first].strip()
    space = newline(text) + " " * indent(text, first) if lined else " "
    return edited(text, [(place, place, ("" if comma else ",") + space + new + ("," if comma else ""))])


def _first(text: str, config: YamlNode, name: str, own: str | None, values: Mapping[str, Any]) -> str:
    """The key and its first entry, below what else the configuration has."""
    if config.flow or not config.items:
        here = f'"{ENDPOINTS}": {inline({name: dict(values)})}'
        if config.items:
            return _into_flow(text, config, None, here)
        return edited(text, [(config.start, config.end, f"{{{here}}}")])
    column = indent(text, config.items[0][0].start)
    lines = " " * column + f"{ENDPOINTS}:" + newline(text)
    lines += _lines(text, name, own, values, column * 2 or 2)
    last = config.items[-1]
    return _inserted(text, extent(text, max(last[1].end, last[0].end), column), lines)


def _lines(text: str, name: str, own: str | None, values: Mapping[str, Any], column: int) -> str:
    """An entry's lines, indented by so much, with the line ends of the file."""
    if own is None or own[-1] != "\n":
        own = plain(name, values)
    lines = [line.removesuffix("\r") for line in own.removesuffix("\n").split("\n")]
    had = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    end = newline(text)
    return "".join((" " * column + line[had:] if line.strip() else "") + end for line in lines)


def _inserted(text: str, place: int, lines: str, instead: YamlNode | None = None) -> str:
    """The text with these lines before a place; a file without a last line end stays without."""
    place -= instead.end - instead.start if instead else 0
    if place == len(text) and not text.endswith("\n"):
        return text + newline(text) + lines.removesuffix(newline(text))
    return text[:place] + lines + text[place:]
