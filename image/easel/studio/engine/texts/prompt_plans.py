"""A prompt and its negative one as written: parts that AND joins, each with its texts step by step."""

from __future__ import annotations

from typing import NamedTuple

from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.composition import parts
from easel.studio.engine.prompts.schedule import Entry, schedule

# Each part is one more row of every call.
MAX_PARTS = 20

Plan = tuple[Entry, ...]


class PromptPlans(NamedTuple):
    """The plan of each part with the part's weight, and that of the negative prompt; None where it counts for
    nothing (`composition.negative_counts`)."""

    parts: list[Plan]
    weights: list[float]
    negative: Plan | None


def prompt_plans(prompt: str, negative: str | None, steps: int, hires_steps: int | None) -> PromptPlans:
    """Those of one pass.

    `steps` are A1111's total: the request's, times two for samplers of second order, whose every call of the
    UNet it counts (`SamplerData.total_steps`); for a second pass `hires_steps` are those of that pass, and
    `steps` the first's. Raises InvalidRequest for too many parts.
    """
    composed = parts(prompt)
    if len(composed) > MAX_PARTS:
        raise InvalidRequest(
            "prompt",
            remark("joined_prompts", "{n} prompts joined by AND", n=len(composed)),
            allowed.up_to(MAX_PARTS),
        )
    return PromptPlans(
        [schedule(part.text, steps, hires_steps) for part in composed],
        [part.weight for part in composed],
        None if negative is None else schedule(negative, steps, hires_steps),
    )
