"""What a network is told beside texts and noise.

SDXL's micro-conditioning: pooled embeddings, and the size that the picture claims to be cut from (Podell et
al., arXiv 2307.01952, section 2.2). A guidance-distilled transformer: the scale that it was distilled with
(Meng et al., arXiv 2210.03142).
"""

from __future__ import annotations

import torch

from easel.studio.engine.texts.conditioning_schedule import Guidance
from easel.studio.families import Family, Flow

# The refiner was trained on an aesthetic score in place of a target size: 6 for good, 2.5 for bad.
_GOOD, _BAD = 6.0, 2.5


def size_numbers(family: Family) -> int:
    """How many numbers on size and crop the UNet takes."""
    return 5 if family.aesthetic_score else 6


def added_conditions(family: Family, guidance: Guidance, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """What the UNet takes beside the tokens, a row for each of theirs; `size` is width and height, pixels."""
    if not family.pooled or guidance.pooled is None:
        return {}
    width, height = size
    rows = []
    negatives = len(guidance.tokens) - len(guidance.weights)
    for row in range(len(guidance.tokens)):
        score = _BAD if row < negatives else _GOOD
        rows.append([height, width, 0, 0, *([score] if family.aesthetic_score else [height, width])])
    pooled = guidance.pooled
    return {"text_embeds": pooled, "time_ids": torch.tensor(rows, device=pooled.device, dtype=pooled.dtype)}


def told_guidance(flow: Flow, guidance: Guidance, asked: float | None) -> dict[str, torch.Tensor]:
    """The scale that a distilled transformer is told, a number for each row; nothing for one that takes
    none."""
    if flow.distilled_guidance is None:
        return {}
    scale = flow.distilled_guidance if asked is None else asked
    return {"guidance": torch.full((len(guidance.tokens),), float(scale), device=guidance.tokens.device)}
