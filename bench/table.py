"""Medians with their spread, as a Markdown table, and the machine they came from."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def spread(seconds: Sequence[float]) -> str:
    """Median and range: `0.512 s (0.498-0.570)`."""
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f}-{max(seconds):.3f})"


def comparison(
    what: str,
    pairs: Iterable[tuple[float, float]],
    promise: str,
    shown: Callable[[Sequence[float]], str] = spread,
) -> list[str]:
    """A row of the table: ours and theirs, each as `shown` says it, their ratio and the promise."""
    ours, theirs = zip(*pairs, strict=True)
    return [what, shown(ours), shown(theirs), pair_ratio(ours, theirs), promise]


def alternating(
    one: Callable[[], float], other: Callable[[], float], count: int
) -> list[tuple[float, float]]:
    """Pairs of measurements, turn by turn, so that a machine that drifts drifts for both."""
    return [(one(), other()) for _ in range(count)]


def in_turns(one: Callable[[int], T], other: Callable[[int], T], count: int) -> list[tuple[T, T]]:
    """Pairs of what each gives for its number, of which every second begins with `one`: what comes first on a
    machine that has rested is faster."""
    pairs = []
    for number in range(count):
        if number % 2:
            pairs.append((one(number), other(number)))
        else:
            last = other(number)
            pairs.append((one(number), last))
    return pairs


def pair_ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Median and range of the ratios pair by pair: the two of a pair met the same neighbours on the machine,
    which two medians need not have."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(pairs):.3f} ({min(pairs):.3f}-{max(pairs):.3f})"


def markdown_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table, each as soon as its row was measured."""
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(markdown_lines(header, rows))


def machine() -> str:
    """One line about this machine."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    import torch

    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {model}, torch {torch.__version__}, load average at the start {load:.1f}"
