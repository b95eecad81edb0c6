"""Composition: `a :1.2 AND b` is two prompts, guided to by one weight each.

Liu et al., "Compositional Visual Generation with Composable Diffusion Models", arXiv 2206.01714, as A1111
writes it: guided = negative + Σ weight · (part - negative) · cfg_scale. The negative prompt is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from easel.studio.engine.prompts.emphasis import MAX_WEIGHT

_AND = re.compile(r"\bAND\b")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


@dataclass(frozen=True)
class Part:
    """One of the prompts that a prompt is composed of, and how much it counts."""

    text: str
    weight: float = 1.0


def parts(prompt: str) -> tuple[Part, ...]:
    """The parts of a prompt, one at least.

    As in A1111, a number behind the last colon is the weight without any AND too: `a cat :0.5`.
    """
    return tuple(_part(text) for text in _AND.split(prompt))


def negative_counts(prompt: str, cfg_scale: float) -> bool:
    """Whether the negative prompt is any part of the guidance: with one part, it is none at a scale of 1."""
    return cfg_scale * sum(part.weight for part in parts(prompt)) != 1.0


def _part(text: str) -> Part:
    bare = text.rstrip()
    before, colon, number = bare.rpartition(":")
    if not colon or not _NUMBER.fullmatch(number.strip()):
        return Part(bare)
    return Part(before.rstrip(), max(-MAX_WEIGHT, min(MAX_WEIGHT, float(number))))
