"""Expansion: the words that one picture draws from its variants and wildcards, by its seed.

A text and a seed always give the same words, with the same files.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import accumulate

from easel.remark import remark
from easel.studio.engine.prompts.variants import Choice, Item, Variant, VariantOption, leading, option, read
from easel.studio.engine.prompts.wildcards import Wildcards

# A file may name others, and each of its lines several: what comes after is left as it stands.
MAX_CHOICES = 1000
MAX_LETTERS = 20_000
# Going through so many lines, or names of files, counts as one more choice.
_A_CHOICE = 1000
_SHOWN = 5


@dataclass(frozen=True)
class Expanded:
    """The words that were drawn, and what is to be said of it."""

    text: str
    notes: tuple[str, ...] = ()


def expand(text: str, seed: int, wildcards: Wildcards, field: str = "prompt") -> Expanded:
    """Draw the words of one picture, whose `seed` it is. Texts of other fields draw for themselves.

    What no wildcard file is called stays as it stands, with a note.
    """
    if "{" not in text and "__" not in text:
        return Expanded(text)
    # a string as seed is hashed by SHA-512, and `random()` gives the same numbers in every Python
    source = random.Random(f"{seed} {field}").random  # noqa: S311 - seeds are published with every picture
    return _Expansion(source, wildcards).run(text)


class _Options:
    """The options of one choice, ready to be drawn from."""

    def __init__(self, options: Sequence[VariantOption], *, lines: bool = False) -> None:
        self._items = [one.items for one in options]
        self._lines = lines
        weights = [one.weight for one in options]
        self._weights = weights if any(weights) else [1.0] * len(weights)
        self._sums = list(accumulate(self._weights))

    def __len__(self) -> int:
        return len(self._items)

    def draw(self, count: int, source: Callable[[], float]) -> list[list[Item]]:
        """So many of them, none twice, in the order in which they came. Lines of files are read only now."""
        if count == 1:
            place = bisect(self._sums, source() * self._sums[-1])
            chosen = [min(place, len(self) - 1)]
        else:
            chosen = heapq.nsmallest(count, range(len(self)), key=self._times(source).__getitem__)
        found = [self._items[one] for one in chosen]
        return [read(leading(items)) for items in found] if self._lines else found

    def _times(self, source: Callable[[], float]) -> list[float]:
        # An exponential race: who comes first, second … is as if drawn one after the other, by weight.
        return [-math.log(1 - source()) / weight if weight else math.inf for weight in self._weights]


class _Expansion:
    def __init__(self, source: Callable[[], float], wildcards: Wildcards) -> None:
        self._source = source
        self._wildcards = wildcards
        self._options: dict[str, _Options] = {}
        self._left = MAX_CHOICES
        self._letters = 0
        self._notes: dict[str, None] = {}
        self._unknown: dict[str, None] = {}

    def run(self, text: str) -> Expanded:
        out: list[str] = []
        # what is open, and the wildcards that it comes from
        stack: list[tuple[Iterator[Item], frozenset[str]]] = [(iter(read(text)), frozenset())]
        while stack:
            items, within = stack[-1]
            for item in items:
                if not isinstance(item, str):
                    stack.append(self._chosen(item, within))
                    break
                out.append(item)
                self._letters += len(item)
            else:
                stack.pop()
        if self._unknown:
            self._note(self._of_unknown())
        return Expanded("".join(out), tuple(self._notes))

    def _chosen(self, item: Choice, within: frozenset[str]) -> tuple[Iterator[Item], frozenset[str]]:
        """What stands in the place of a choice, and the wildcards that it comes from."""
        self._left -= 1
        if self._left < 0 or self._letters > MAX_LETTERS:
            self._note(
                remark(
                    "choices_end",
                    "After {choices} choices, or {letters} letters, the rest was left as written.",
                    about="prompt",
                    choices=MAX_CHOICES,
                    letters=MAX_LETTERS,
                )
            )
            return iter([item.written]), within
        if item.how in ("@", "!"):
            words = "Words are drawn at random, with the {mark} of sd-dynamic-prompts too."
            self._note(remark("at_random", words, about="prompt", mark=item.how))
        variant = item if isinstance(item, Variant) else Variant([VariantOption([item])], "", 0, 0)
        options, within = self._options_of(variant, within)
        if options is None:
            return iter([item.written]), within
        least, most = (min(one, len(options)) for one in sorted((variant.low, variant.high)))
        count = least + int(self._source() * (most - least + 1))
        if count > 1:
            self._left -= len(options) // _A_CHOICE
        return _joined(options.draw(count, self._source), variant.separator), within

    def _options_of(self, variant: Variant, within: frozenset[str]) -> tuple[_Options | None, frozenset[str]]:
        """What can be chosen, None for a wildcard that is none; and the wildcards that it comes from."""
        wildcard = variant.wildcard
        if wildcard is None:
            return _Options(variant.options), within
        name = wildcard.name.casefold()
        if name in within:
            words = "The wildcard {name} names itself; there it was left as text."
            self._note(remark("wildcard_itself", words, about="prompt", name=wildcard.name))
            return None, within
        if name not in self._options:
            self._left -= len(self._wildcards.names()) // _A_CHOICE
            lines = self._wildcards.lines(wildcard.name)
            if not lines:
                self._unknown[wildcard.name] = None
                return None, within
            self._options[name] = _Options([option([line]) for line in lines], lines=True)
        return self._options[name], within | {name}

    def _of_unknown(self) -> str:
        unknown, names = list(self._unknown), self._wildcards.names()
        near = get_close_matches(unknown[0].casefold(), names[:_A_CHOICE], n=1)
        there = remark("wildcard_others", "there are {n} others.", n=len(names))
        if near:
            there = remark("wildcard_near", "did you mean {name}?", name=near[0])
        more: str = ""
        if len(unknown) > _SHOWN:
            more = remark("and_more", " and {n} more", n=len(unknown) - _SHOWN)
        shown = ", ".join(one[:80] for one in unknown[:_SHOWN])
        return remark(
            "no_wildcard",
            "No wildcard file is called {names}{more}; it was left as text; {there}",
            about="prompt",
            names=shown,
            more=more,
            there=there,
        )

    def _note(self, words: str) -> None:
        self._notes[words] = None


def _joined(chosen: Sequence[list[Item]], separator: str) -> Iterator[Item]:
    for number, items in enumerate(chosen):
        if number:
            yield separator
        yield from items
