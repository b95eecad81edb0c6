"""Weights for each block of the UNet, `lbw=` of sd-webui-lora-block-weight, read and looked up.

    <lora:name:1:lbw=OUTALL>
    <lora:name:1:lbw=1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0>

A block is one of the original code's: 12 on the way in, one in the middle, 12 on the way out (SDXL has nine
each way). The first number, BASE, is the text encoders'. What is in no block (time embedding, last
convolution) counts in full, as there. Light: imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

BLOCKS = ("BASE", *(f"IN{n:02}" for n in range(12)), "M00", *(f"OUT{n:02}" for n in range(12)))
_SDXL = ("BASE", *(f"IN{n:02}" for n in range(9)), "M00", *(f"OUT{n:02}" for n in range(9)))
# The blocks that a list of so many numbers is for: all or those with attention, of SD 1.x, 2.x and of SDXL.
_LISTS: Mapping[int, tuple[str, ...]] = {
    26: BLOCKS,
    20: _SDXL,
    17: tuple(one for one in BLOCKS if one not in
              ("IN00", "IN03", "IN06", "IN09", "IN10", "IN11", "OUT00", "OUT01", "OUT02")),
    12: ("BASE", "IN04", "IN05", "IN07", "IN08", "M00", *(f"OUT{n:02}" for n in range(6))),
}  # fmt: skip
_EARLY, _DEEP = ("IN01", "IN02", "IN04"), ("IN05", "IN07", "IN08")
_INNER, _OUTER = tuple(f"OUT{n:02}" for n in range(3, 7)), tuple(f"OUT{n:02}" for n in range(7, 12))
# The extension's own presets, lists of 17: in each the blocks that count.
_PRESETS: Mapping[str, tuple[str, ...]] = {
    "NONE": (), "ALL": _LISTS[17],
    "INS": ("BASE", *_EARLY), "IND": ("BASE", *_DEEP), "INALL": ("BASE", *_EARLY, *_DEEP),
    "MIDD": ("BASE", *_DEEP, "M00", *_INNER),
    "OUTD": ("BASE", *_INNER), "OUTS": ("BASE", *_OUTER), "OUTALL": ("BASE", *_INNER, *_OUTER),
}  # fmt: skip
PRESETS = (*_PRESETS, "ALL0.5")
MAX_BLOCK_WEIGHT = 100.0

BlockWeights = tuple[float, ...]


def read_block_weights(text: str) -> BlockWeights:
    """A weight for each of BLOCKS; what a list has no number for does not count.

    Raises ValueError with what is wrong, as the end of a sentence.
    """
    text = text.strip()
    if text in _PRESETS:
        return tuple(float(one in _PRESETS[text]) for one in BLOCKS)
    if text == "ALL0.5":
        return tuple(0.5 * (one in _LISTS[17]) for one in BLOCKS)
    numbers = text.split(",")
    if len(numbers) == 1:
        raise ValueError(f"{text[:40]!r} is none of the presets {', '.join(PRESETS)}")
    blocks = _LISTS.get(len(numbers))
    if blocks is None:
        raise ValueError(f"it has {len(numbers)} block weights, and there are lists of 12, 17, 20 or 26")
    found = dict(zip(blocks, map(_number, numbers), strict=True))
    return tuple(found.get(one, 0.0) for one in BLOCKS)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        random = " (random ones, R and U, are not drawn with here)" if text.strip() in ("R", "U") else ""
        raise ValueError(f"the block weight {text.strip()[:20]!r} is no number{random}") from None
    if not math.isfinite(value) or abs(value) > MAX_BLOCK_WEIGHT:
        raise ValueError(f"the block weight {text.strip()[:20]} is too large")
    return value


def block_of(module: str, unet: Any) -> int | None:
    """The number in BLOCKS of a layer of a UNet (diffusers' name), None for one that is in no block."""
    if module.startswith("conv_in"):
        return 1
    if module.startswith("mid_block."):
        return BLOCKS.index("M00")
    side, _, rest = module.partition("_blocks.")
    if side not in ("down", "up"):
        return None
    level, what, index = rest.split(".")[:3]
    found = _starts(unet)[side][int(level)]
    # a sampler comes behind the level's layers; upwards it is in the last one's block
    if what == "downsamplers":
        return found + len(unet.down_blocks[int(level)].resnets)
    if what == "upsamplers":
        return found + len(unet.up_blocks[int(level)].resnets) - 1
    return found + int(index)


def _starts(unet: Any) -> dict[str, list[int]]:
    """The number in BLOCKS of the first block of each level, for both ways."""
    found: dict[str, list[int]] = {"down": [], "up": []}
    place = BLOCKS.index("IN01")
    for level in unet.down_blocks:
        found["down"].append(place)
        place += len(level.resnets) + bool(level.downsamplers)
    place = BLOCKS.index("OUT00")
    for level in unet.up_blocks:
        found["up"].append(place)
        place += len(level.resnets)
    return found
