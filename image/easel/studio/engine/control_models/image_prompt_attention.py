"""What IP-Adapters add to a call of the UNet: beside each attention to words another one, to pictures
(Ye et al., arXiv 2308.06721)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from easel.models import ModelFile
from easel.studio.engine.control.unit import ControlUnit
from easel.studio.engine.control_models.image_prompt_file import cross_attentions


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """One IP-Adapter of one picture in one call: `tokens` (rows, n, width) are what it read in the picture,
    `scales` (rows, attentions) weights, `region` (1, 1, height, width) how much it counts where."""

    module: Any
    tokens: torch.Tensor
    scales: torch.Tensor
    region: torch.Tensor | None = None


class ImagePromptOfPass:
    """One unit in one pass of one picture."""

    def __init__(
        self,
        unit: ControlUnit,
        file: ModelFile,
        module: Any,
        tokens: tuple[torch.Tensor, torch.Tensor],
        weights: Sequence[float],
        region: torch.Tensor | None = None,
    ) -> None:
        """`tokens` are those of no picture and of the picture, (1, n, width) each; `weights` one for each
        attention."""
        self._unit, self._module, self._region = unit, module, region
        self._nothing, self._picture = tokens
        self._weights = torch.tensor(list(weights), dtype=torch.float32).to(tokens[0])
        self.kind: Hashable = (file, tuple(tokens[0].shape))
        """What has to be equal for two pictures' units to be run as one."""

    def at_work(self, share: float) -> bool:
        """Whether it counts where `share` of the pass's steps are done."""
        return self._unit.guidance_start <= share <= self._unit.guidance_end

    def of_call(self, rows: int, positive: int) -> ImagePrompt:
        """Its part of a call of `rows`, the last `positive` of them for prompts to draw towards."""
        negative = rows - positive
        tokens = torch.cat([self._nothing.expand(negative, -1, -1), self._picture.expand(positive, -1, -1)])
        return ImagePrompt(self._module, tokens, self._weights.expand(rows, -1), self._region)


@contextmanager
def image_prompts_at_work(
    unet: Any, prompts: Sequence[Sequence[ImagePrompt]], size: tuple[int, int]
) -> Iterator[None]:
    """Within this, the UNet attends to the pictures as well, in a call for several whose `prompts` are alike
    one by one. `size` is the latents' height and width."""
    together = [_Together(alike, size) for alike in zip(*prompts, strict=True)]
    hooks: list[Any] = []
    try:
        for number, (_, attention) in enumerate(cross_attentions(unet) if together else ()):
            hooks += _hooked(attention, number, together)
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Together:
    """One adapter for all rows of a call."""

    def __init__(self, alike: Sequence[ImagePrompt], size: tuple[int, int]) -> None:
        self._alike, self._size = alike, size
        self._module = alike[0].module
        self._tokens = torch.cat([one.tokens for one in alike])
        self._scales = torch.cat([one.scales for one in alike])
        self._everywhere = all(one.region is None for one in alike)
        self._places: dict[int, torch.Tensor] = {}

    def added(self, number: int, query: torch.Tensor, heads: int) -> torch.Tensor:
        """What is to be added to what the attention of this number read in the words."""
        key, value = self._module.keys[number](self._tokens), self._module.values[number](self._tokens)
        parts = (one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (query, key, value))
        found = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        found = found * self._scales[:, number, None, None]
        return found if self._everywhere else found * self._where(query.shape[1])

    def _where(self, pixels: int) -> torch.Tensor:
        """(rows, pixels, 1), of a layer that has so many."""
        if pixels not in self._places:
            height, width = self._size
            while height * width > pixels:
                height, width = -(-height // 2), -(-width // 2)
            rows = []
            for one in self._alike:
                region = torch.ones((1, 1, 1, 1)).to(one.tokens) if one.region is None else one.region
                small = F.interpolate(region, (height, width), mode="bilinear")
                rows.append(small.flatten(2).transpose(1, 2).expand(len(one.tokens), -1, -1))
            self._places[pixels] = torch.cat(rows)
        return self._places[pixels]


def _hooked(attention: Any, number: int, together: Sequence[_Together]) -> list[Any]:
    """Hooks on what asks and on what puts the answer in place: whatever computes the attention between."""
    asked: list[torch.Tensor] = []

    def keep(layer: Any, seen: Any, query: torch.Tensor) -> None:
        asked[:] = [query]

    def add(layer: Any, seen: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        query = asked.pop()
        return (sum((one.added(number, query, attention.heads) for one in together), seen[0]),)

    return [attention.to_q.register_forward_hook(keep), attention.to_out[0].register_forward_pre_hook(add)]
