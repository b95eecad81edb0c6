"""Why backbone calls are as wide as they are, in words for who runs the endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from easel.remark import figure, remark


class Why(Enum):
    """What keeps calls from being wider."""

    MEASURING = auto()
    """Calls of this width have to be timed first."""
    WIDEST = auto()
    """Nothing: wider ones are not tried."""
    NO_GAIN = auto()
    """A wider one was measured, and gains too little."""
    TOO_LONG = auto()
    """A wider one would keep others waiting for too long."""
    OUT_OF_MEMORY = auto()
    """A wider one was tried and found no room."""
    NO_ROOM = auto()
    """Memory that is free now has room for no more, as it is counted."""


@dataclass(frozen=True)
class WidthReason:
    """So many pictures (`width`) go into a call, and why.

    `other` is the width that is not used. `number` says how it is: of `NO_GAIN` how many times the pictures
    of this width it would draw in the same time, of `TOO_LONG` its seconds, of `WIDEST` how many times the
    pictures of one alone this width draws.
    """

    width: int
    why: Why
    other: int = 0
    number: float = 0.0

    def said(self, most_seconds: float) -> str:
        """In words; a call for several pictures may take `most_seconds`."""
        match self.why:
            case Why.MEASURING:
                return remark("width_measuring", "{n} at once: not measured yet", n=self.width)
            case Why.WIDEST:
                return remark(
                    "width_widest", "{n} at once: {times} times the pictures of one alone",
                    n=self.width, times=figure(self.number, ".1f"),
                )  # fmt: skip
            case Why.NO_GAIN:
                return remark(
                    "width_no_gain",
                    "{n} at once: {other} would draw {times} times as many, which is not worth it",
                    n=self.width, other=self.other, times=figure(self.number, ".2f"),
                )  # fmt: skip
            case Why.TOO_LONG:
                return remark(
                    "width_too_long",
                    "{n} at once: {other} would take {seconds} s, and others wait {most} s at the most",
                    n=self.width, other=self.other,
                    seconds=figure(self.number, ".1f"), most=figure(most_seconds, "g"),
                )  # fmt: skip
            case Why.OUT_OF_MEMORY:
                words = "{n} at once: out of memory at {other}"
                return remark("width_out_of_memory", words, n=self.width, other=self.other)
            case Why.NO_ROOM:
                words = "{n} at once: memory has no room for {other}"
                return remark("width_no_room", words, n=self.width, other=self.other)
