"""IP-Adapters and image encoders beside a checkpoint, and what they read in pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from easel.models import Architecture, ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.control.unit import ControlUnit
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.controls import Size
from easel.studio.engine.control_models.image_prompt_attention import ImagePromptOfPass
from easel.studio.engine.control_models.image_prompt_file import (
    cross_attentions,
    load_image_encoder,
    load_image_prompt,
)
from easel.studio.engine.control_models.image_prompts import PreparedImagePrompt, SeenPictures

Tokens = tuple[torch.Tensor, torch.Tensor]
"""Of nothing and of what is there, (1, n, width) each."""


class ImagePromptModels:
    """Those of one checkpoint, in the memory that its control models have. Used from the engine's thread
    only."""

    def __init__(self, checkpoint: Checkpoint, cache: ControlCache) -> None:
        self._checkpoint, self._cache = checkpoint, cache
        self._read: WeakKeyDictionary[PreparedImagePrompt, dict[int, Tokens]] = WeakKeyDictionary()

    def need(
        self, prompts: Sequence[PreparedImagePrompt], index: int, keep: Collection[ModelFile] = ()
    ) -> list[str]:
        """Have what these adapters read for the picture with this number; files of `keep` stay in memory.

        Returns what there is to note. Raises what `load_image_prompt` and `load_image_encoder` raise.
        """
        if prompts and self._checkpoint.family.architecture is Architecture.SDXL_REFINER:
            name = self._checkpoint.file.name
            return [f"{name} is a refiner, for which there are no IP-Adapters: it drew without."]
        wanted = {*keep, *(one.file for one in prompts)}
        for one in prompts:
            read = self._read.setdefault(one, {})
            place = index % len(one.seen)
            adapter = self._cache.get(one.file, self._checkpoint, wanted, load_image_prompt)
            if place not in read:
                read[place] = self._tokens(one, place, adapter, wanted)
        return []

    def of_pass(
        self, prompts: Sequence[PreparedImagePrompt], index: int, size: Size, *, second_pass: bool
    ) -> tuple[ImagePromptOfPass, ...]:
        """What prompts a pass of the picture with this number, `size` in pixels; `need` came before."""
        at_work = [one for one in prompts if one in self._read and one.unit.controls(second_pass=second_pass)]
        return tuple(
            ImagePromptOfPass(
                one.unit, one.file, self._adapter(one.file),
                self._read[one][index % len(one.seen)], self._weights(one), self._region(one, size),
            )
            for one in at_work
        )  # fmt: skip

    def identities(self, prompts: Sequence[PreparedImagePrompt], index: int) -> dict[ControlUnit, Tokens]:
        """What each of them read in the picture with this number: of nothing, and of what is there."""
        at_hand = (one for one in prompts if one in self._read)
        return {one.unit: self._read[one][index % len(one.seen)] for one in at_hand}

    def _adapter(self, file: ModelFile) -> Any:
        return self._cache.get(file, self._checkpoint, (), load_image_prompt)

    def _tokens(
        self, prompt: PreparedImagePrompt, place: int, adapter: Any, keep: Collection[ModelFile]
    ) -> Tokens:
        """Of no picture, and of the pictures in equal parts."""
        seen, layout = prompt.seen[place], prompt.layout
        patches = self._by_encoder(prompt, seen, keep)
        if not layout.face:
            tokens = adapter.projection(patches)
        else:
            faces = self._placed(seen.faces)
            faces = torch.cat([torch.zeros_like(faces[:1]), faces])
            tokens = adapter.of_faces(faces, patches)
        return tokens[:1], tokens[1:].mean(dim=0, keepdim=True)

    def _by_encoder(
        self, prompt: PreparedImagePrompt, seen: SeenPictures, keep: Collection[ModelFile]
    ) -> torch.Tensor | None:
        """What the image encoder sees in nothing, then in each picture; None where there is none."""
        if prompt.encoder is None:
            return None
        encoder = self._cache.get(prompt.encoder, self._checkpoint, keep, load_image_encoder)
        views = self._placed(seen.views)
        if prompt.layout.by_patch:
            shown = torch.cat([torch.zeros_like(views[:1]), views])
            found: torch.Tensor = encoder(shown, output_hidden_states=True).hidden_states[-2]
            return found
        found = encoder(views).image_embeds
        return torch.cat([torch.zeros_like(found[:1]), found])

    def _placed(self, numbers: NDArray[np.float32] | None) -> torch.Tensor:
        assert numbers is not None  # noqa: S101 - what the adapter reads was prepared
        return torch.from_numpy(numbers).to(self._checkpoint.device, self._checkpoint.dtype)

    def _weights(self, prompt: PreparedImagePrompt) -> list[float]:
        """One for each attention: the unit's, or those that it has for each transformer, down, middle, up."""
        unit = prompt.unit
        places = [
            name.partition(".transformer_blocks.")[0]
            for name, _ in cross_attentions(self._checkpoint.backbone)
        ]
        if not unit.layer_weights:
            return [unit.weight] * len(places)
        order = sorted(dict.fromkeys(places), key=lambda one: ("down", "mid_", "up_b").index(one[:4]))
        weights = [*unit.layer_weights, *[unit.weight] * len(order)]
        return [weights[order.index(place)] for place in places]

    def _region(self, prompt: PreparedImagePrompt, size: Size) -> torch.Tensor | None:
        region = prompt.regions.get(size)
        if region is None:
            return None
        return torch.from_numpy(region)[None, None].to(self._checkpoint.device, self._checkpoint.dtype)
