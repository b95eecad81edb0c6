"""The words of each picture: variants and wildcards drawn by its seed, then understood."""

from __future__ import annotations

from dataclasses import dataclass

from easel.models import Store
from easel.studio.engine.networks.extra_networks import Asked, LoraUse, understand
from easel.studio.engine.prompts.expansion import expand
from easel.studio.engine.prompts.wildcards import WILDCARDS_FOLDER, Wildcards
from easel.studio.engine.requests.request import TextToImage


@dataclass(frozen=True)
class PicturePrompts:
    """What one picture is drawn from: its prompts in words, and what they ask for in each pass.

    Without a second pass of its own words `second` is `first`.
    """

    prompt: str
    negative_prompt: str
    first: Asked
    second: Asked
    notes: tuple[str, ...] = ()

    @property
    def loras(self) -> tuple[LoraUse, ...]:
        """Those of both passes."""
        return self.first.loras if self.second is self.first else (*self.first.loras, *self.second.loras)


def picture_prompts(request: TextToImage, store: Store) -> tuple[PicturePrompts, ...]:
    """Those of a request that is resolved: one for all pictures, or one for each where a text has choices.

    Raises InvalidRequest for more LoRAs than one picture takes.
    """
    wildcards = Wildcards([store.root / WILDCARDS_FOLDER])
    count = request.pictures if any("{" in text or "__" in text for text in _texts(request)) else 1
    return tuple(_of_seed(request, request.seed_of(index), store, wildcards) for index in range(count))


def _texts(request: TextToImage) -> tuple[str, str, str, str]:
    hires = request.hires
    second = (hires.prompt, hires.negative_prompt) if hires is not None else ("", "")
    return (request.prompt, request.negative_prompt, *second)


def _of_seed(request: TextToImage, seed: int, store: Store, wildcards: Wildcards) -> PicturePrompts:
    fields = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt")
    drawn = [
        expand(text, seed, wildcards, field) for text, field in zip(_texts(request), fields, strict=True)
    ]
    prompt, negative, hires_prompt, hires_negative = (one.text for one in drawn)
    active = request.extra_networks
    first = second = understand(prompt, negative, store, active=active)
    if hires_prompt or hires_negative:
        second = understand(hires_prompt or prompt, hires_negative or negative, store, active=active)
    notes = [words for one in drawn for words in one.notes]
    return PicturePrompts(prompt, negative, first, second, (*notes, *first.notes, *second.notes))
