"""What a tag `<lora:…>` says: a name, weights, and to what a LoRA is limited.

    tag   = name { ":" place } { ":" key "=" value }
    place = te, unet, dyn                 numbers, in this order; te alone counts for both
    key   = "te" | "unet" | "dyn"         A1111's own
          | "lbw" | "w"                   weights of blocks (block_weights.py)
          | "start" | "stop" | "step"     steps of the UNet, the latter "start-stop"

A weight of blocks may stand in a place too, `<lora:name:1:OUTALL>`, as sd-webui-lora-block-weight reads it.
Light: imports no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest

from easel.studio.engine.networks.block_weights import PRESETS, BlockWeights, read_block_weights

MAX_WEIGHT = 100.0
_SHOWN = 80
_PLACES = ("te", "unet", "dyn")
_KEYS = {*_PLACES, "lbw", "w", "start", "stop", "step"}


@dataclass(frozen=True, slots=True)
class LoraLimits:
    """Where and when a LoRA is at work.

    `blocks` are weights of the UNet's blocks, `rank` how many of its ranks count (0: all); `start` and `stop`
    the step that it begins with and the first that it does not count in, from 1, below 1 as a share of all
    steps (0: from the first, to the last). The text encoders have it in any case.
    """

    blocks: BlockWeights | None = None
    rank: int = 0
    start: float = 0.0
    stop: float = 0.0

    def weight_in(self, block: int | None) -> float:
        """What the LoRA's weight is multiplied with in a block of the UNet; None for what is in none."""
        return 1.0 if self.blocks is None or block is None else self.blocks[block]

    def at_work(self, step: int, steps: int) -> bool:
        """Whether it counts in this step, from 0, of so many."""
        start, stop = _step(self.start, steps), _step(self.stop, steps)
        return step + 1 >= start and (not stop or step + 1 < stop)


@dataclass(frozen=True, slots=True)
class LoraTag:
    """A tag, read. `ignored` are the words in it that count for nothing here."""

    name: str
    te: float
    unet: float
    limits: LoraLimits
    ignored: tuple[str, ...] = ()


def read_tag(said: str) -> LoraTag:
    """What stands behind `<lora:`. Raises ValueError with what is wrong, as the end of a sentence."""
    name, *rest = said.split(":")
    if not name.strip():
        raise ValueError("it has no name")
    places = [one for one in rest if "=" not in one]
    named = {key.strip().lower(): value.strip() for key, _, value in
             (one.partition("=") for one in rest if "=" in one)}  # fmt: skip
    ignored = [_short(f"{key}={value}") for key, value in named.items() if key not in _KEYS]
    blocks_at = next((at for at, one in enumerate(places) if at and _weighs_blocks(one)), None)
    if blocks_at is not None:
        named.setdefault("lbw", places.pop(blocks_at))
    for place, value in zip_longest(_PLACES, places[: len(_PLACES)]):
        if place is not None and value is not None:
            named.setdefault(place, value)
    ignored += map(_short, places[len(_PLACES) :])
    te = _weight(named.get("te", "1"))
    unet = _weight(named["unet"]) if "unet" in named else te
    blocks = None
    if (text := named.get("lbw", named.get("w"))) is not None:
        try:
            blocks = read_block_weights(text)
        except ValueError as error:
            ignored.append(f"lbw={text[:40]}, since {error}")
    start, stop = _window(named, ignored)
    limits = LoraLimits(blocks, _rank(named.get("dyn")), start, stop)
    return LoraTag(name, te * limits.weight_in(0), unet, limits, tuple(ignored))


def _weighs_blocks(place: str) -> bool:
    return "," in place or place.strip() in PRESETS


def _window(named: dict[str, str], ignored: list[str]) -> tuple[float, float]:
    """First and last step, 0 where none is said."""
    start, stop = named.get("start", "0"), named.get("stop", "0")
    if "-" in named.get("step", ""):
        start, _, stop = named["step"].partition("-")
    elif "step" in named:
        ignored.append(f"step={named['step'][:40]}, since it is two steps with - between")
    return _bound(start), _bound(stop)


def _bound(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{_short(text)!r} is no step") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{_short(text)} is no step")
    return value


def _step(bound: float, steps: int) -> int:
    return max(1, round(bound * steps)) if 0 < bound < 1 else int(bound)


def _rank(text: str | None) -> int:
    if text is None:
        return 0
    try:
        rank = int(text)
    except ValueError:
        rank = 0
    if rank < 1:
        raise ValueError(f"its rank (dyn) is {_short(text)!r}, which is no whole number from 1")
    return rank


def _weight(text: str) -> float:
    try:
        value = float(text.strip())
    except ValueError:
        raise ValueError(f"its weight is {_short(text)!r}, which is no number") from None
    if not math.isfinite(value) or abs(value) > MAX_WEIGHT:
        raise ValueError(f"its weight is {_short(text)}, outside of -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
