"""Prompt comments go out of a request, unless A1111's option says that they stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from easel.studio.engine import TextToImage, strip_comments
from easel.studio.settings import yes_in


def without_comments(request: TextToImage, settings: Mapping[str, Any]) -> TextToImage:
    """The request without comments in its prompts, unless `enable_prompt_comments` is off.

    Raises InvalidRequest where that option says neither yes nor no.
    """
    if not yes_in(settings, "enable_prompt_comments"):
        return request
    prompt, negative = map(strip_comments, (request.prompt, request.negative_prompt))
    hires = request.hires
    if hires is not None:
        later, without = map(strip_comments, (hires.prompt, hires.negative_prompt))
        hires = replace(hires, prompt=later, negative_prompt=without)
    return replace(request, prompt=prompt, negative_prompt=negative, hires=hires)
