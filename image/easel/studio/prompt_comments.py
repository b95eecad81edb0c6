"""A1111's prompt comments: `#` and what follows it in its line is for people, not for the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from easel.studio.engine import TextToImage
from easel.studio.settings import yes_in


def without_comments(request: TextToImage, settings: Mapping[str, Any]) -> TextToImage:
    """The request without comments in its prompts, unless `enable_prompt_comments` is off.

    Raises InvalidRequest where that option says neither yes nor no.
    """
    if not yes_in(settings, "enable_prompt_comments"):
        return request
    return replace(request, prompt=_bare(request.prompt), negative_prompt=_bare(request.negative_prompt))


def _bare(prompt: str) -> str:
    if "#" not in prompt:
        return prompt
    # A line that is nothing but a comment goes with its line break.
    lines = [line for line in prompt.split("\n") if not line.startswith("#")]
    return "\n".join(line.partition("#")[0] for line in lines)
