"""Schedule: `[from:to:when]` and `[a|b]`, prompts that change while a picture is drawn.

A1111's wiki, "Features: Prompt editing" and "Alternating words", and its answers, whose oddities decide what
an infotext draws: a `|` outside of an alternation turns the whole text to letters, and so does a backslash at
its end; brackets around what is no syntax are letters themselves, up to the outermost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_PIECES = re.compile(r"(?P<sign>[\[\]():|])|(?P<text>(?:[^\\\[\]():|]|\\.)+)|(?P<stray>\\)")
_WHEN = re.compile(r"\s*(?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*")
# Letters that `readings` gives together at most, each text with 200 more for its handling.
_MOST_READ = 200_000


class Entry(NamedTuple):
    """What a prompt is up to a step, the first of all entries whose `end` is not before the step.

    Steps are calls of the UNet, counted from 0, as A1111's are.
    """

    end: int
    text: str


@dataclass(eq=False)
class _Switch:
    """A place where one of several texts stands. Of an alternation `when` is None."""

    choices: list[_Items]
    when: str | None = None


# Lists in lists, so that a closing bracket copies nothing of what it holds.
_Items = list["str | _Switch | _Items"]
_Choose = Callable[[_Switch], int]


def schedule(text: str, steps: int, hires_steps: int | None = None) -> tuple[Entry, ...]:
    """The texts that one prompt is, one after the other; the last ends with `steps` (`hires_steps`).

    `steps` are A1111's: those of the request, times two for samplers of second order. In a second pass
    `hires_steps` are its own, and `when` goes on from the first: 1.5 is half of it, and so is step 30 after
    20 of 40 steps (A1111's `use_old_scheduling` off).
    """
    read = _read(text)
    own = steps if hires_steps is None else hires_steps
    ends = {own}
    whens: dict[_Switch, int] = {}
    for switch in read.switches:
        if switch.when is None:
            ends.update(range(1, own + 1))
            continue
        whens[switch] = when = _step(switch.when, own, None if hires_steps is None else steps)
        if when >= 1:
            ends.add(when)
    return tuple(Entry(end, _render(read.items, _at(end, whens))) for end in sorted(ends))


def current(entries: Sequence[Entry], call: int) -> int:
    """Which of the entries counts at a call. Past the last it is the first again, as in A1111."""
    return next((index for index, entry in enumerate(entries) if call <= entry.end), 0)


def readings(text: str) -> Iterator[str]:
    """The text, and texts in which every choice of it stands once: what may be named in it."""
    yield text
    read = _read(text)
    budget = _MOST_READ
    for number in range(max((len(switch.choices) for switch in read.switches), default=0)):
        found = _render(read.items, _numbered(number))
        budget -= len(found) + 200
        if budget < 0:
            return
        yield found


def _numbered(number: int) -> _Choose:
    return lambda switch: number % len(switch.choices)


def _at(end: int, whens: dict[_Switch, int]) -> _Choose:
    def choose(switch: _Switch) -> int:
        return (end - 1) % len(switch.choices) if switch.when is None else int(end > whens[switch])

    return choose


def _step(when: str, own: int, before: int | None) -> int:
    value = float(when)
    if "." in when:
        value = (value - (0 if before is None else 1)) * own
    elif before is not None:
        value -= before
    # 1e999 is infinite, and neither end of the range is passed by
    return int(max(0.0, min(float(own), value)))


def _render(items: _Items, choose: _Choose) -> str:
    out: list[str] = []
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, str):
                out.append(item)
                continue
            stack.append(iter(item if isinstance(item, list) else item.choices[choose(item)]))
            break
        else:
            stack.pop()
    return "".join(out)


@dataclass
class _Frame:
    """What stands in an open bracket, the bracket first; `cuts` are the places of `:` and `|` in it."""

    items: _Items
    cuts: list[int] = field(default_factory=list)
    signs: str = ""

    def cut(self) -> list[_Items]:
        """What stands between its signs."""
        begins = [1, *(place + 1 for place in self.cuts)]
        ends = [*self.cuts, len(self.items)]
        return [self.items[begin:end] for begin, end in zip(begins, ends, strict=True)]


class _Read(NamedTuple):
    items: _Items
    switches: list[_Switch]


class _NotScheduled(Exception):
    """The text as a whole is letters."""


def _read(text: str) -> _Read:
    try:
        return _Reader().read(text)
    except _NotScheduled:
        return _Read([text], [])


class _Reader:
    """Reads one text with a stack of open brackets; below them all is the text itself."""

    def __init__(self) -> None:
        self._frames = [_Frame([""])]
        self._switches: list[_Switch] = []

    def read(self, text: str) -> _Read:
        for piece in _PIECES.finditer(text):
            if piece["stray"]:
                raise _NotScheduled
            if piece["text"]:
                self._frames[-1].items.append(piece["text"])
            elif piece["sign"] in "([":
                self._frames.append(_Frame([piece["sign"]]))
            elif piece["sign"] in ":|":
                self._part(piece["sign"])
            else:
                self._close(piece["sign"])
        self._give_up()
        return _Read(self._frames[0].items, self._switches)

    def _part(self, sign: str) -> None:
        frame = self._frames[-1]
        if sign == "|" and frame.items[0] != "[":
            raise _NotScheduled
        if len(self._frames) > 1:
            frame.cuts.append(len(frame.items))
            frame.signs += sign
        frame.items.append(sign)

    def _close(self, sign: str) -> None:
        frame = self._frames[-1]
        pair = f"{frame.items[0]}{sign}"
        if frame.signs in {"()": ("", ":"), "[]": ("",)}.get(pair, ()):
            frame.items.append(sign)
            self._take(frame.items)
        elif pair == "[]" and set(frame.signs) == {"|"}:
            self._take(self._switch(frame.cut(), None))
        elif pair == "[]" and frame.signs in (":", "::") and (when := _when(frame)):
            *before, after, _ = frame.cut()
            self._take(self._switch([before[0] if before else [], after], when))
        else:
            # a bracket in which something is no syntax is none itself, and so is every one around it
            self._give_up()
            self._frames[0].items.append(sign)

    def _take(self, item: str | _Switch | _Items) -> None:
        self._frames.pop()
        self._frames[-1].items.append(item)

    def _give_up(self) -> None:
        """All open brackets are letters."""
        while len(self._frames) > 1:
            frame = self._frames[-1]
            if "|" in frame.signs:
                raise _NotScheduled
            self._take(frame.items)

    def _switch(self, choices: list[_Items], when: str | None) -> _Switch:
        found = _Switch(choices, when)
        self._switches.append(found)
        return found


def _when(frame: _Frame) -> str | None:
    """The number behind the last sign; None where something else stands there."""
    last = [one if isinstance(one, str) else "?" for one in frame.items[frame.cuts[-1] + 1 :]]
    number = _WHEN.fullmatch("".join(last))
    return number["number"] if number else None
