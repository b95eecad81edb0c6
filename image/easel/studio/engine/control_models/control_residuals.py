"""What control models add to a call of the UNet: ControlNet (Zhang et al., arXiv 2302.05543), its Union
variant (xinsir), and T2I-Adapter (Mou et al., arXiv 2302.08453). ControlNet-LLLite adds within the call
(lite_control.py).

Weights by layer and by row are those of A1111's extension: "My prompt is more important" lets outer layers
count less (0.825 to the power of their distance from the middle), "ControlNet is more important" as well, and
leaves the negative prompt uncontrolled, so that guidance strengthens the control.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

from easel.models import ModelFile
from easel.studio.engine.control.unit import ControlMode, ControlUnit
from easel.studio.engine.control_models.lite_control import LiteControl
from easel.studio.engine.latents.tiling import edges_meet

_DECAY, _LAYERS = 0.825, 13
_ADAPTER_SOFT = (0.25, 0.62, 0.825, 1.0)
# What enlarging makes of thin lines fights the control; the extension softens it in the second pass.
_THIN_LINES = ("canny", "mlsd")
# Numbers of a Union model's control types, by names of control types and preprocessors.
_UNION_TYPES = {
    "openpose": 0, "depth": 1, "soft edge": 2, "softedge": 2, "scribble": 2, "hard edge": 3, "canny": 3,
    "lineart": 3, "mlsd": 3, "invert": 3, "normal map": 4, "normalmap": 4, "normal": 4, "segmentation": 5,
    "seg": 5, "tile": 6, "blur": 6, "inpaint": 7,
}  # fmt: skip
_HARD_EDGE = 3


@dataclass(frozen=True, eq=False)
class Control:
    """One control of one picture in one call: `hint` (1, channels, height, width) is what `module` sees, or
    for T2I-Adapters and LLLites the `features` that it made of it; `scales` (rows, layers) are weights,
    `region` (1, 1, height, width) says how much they count where. `tokens` (rows, n, width) stand in the
    place of the words, where it is not by these that it is told what is shown."""

    module: Any
    hint: torch.Tensor
    features: tuple[torch.Tensor, ...]
    scales: torch.Tensor
    region: torch.Tensor | None = None
    type: int = 0
    tokens: torch.Tensor | None = None


class ControlOfPass:
    """One unit in one pass of one picture."""

    def __init__(
        self,
        unit: ControlUnit,
        file: ModelFile,
        module: Any,
        hint: torch.Tensor,
        region: torch.Tensor | None = None,
        identity: tuple[torch.Tensor, torch.Tensor] | None = None,
        *,
        second_pass: bool,
    ) -> None:
        """`identity`: of nobody and of a face, (1, n, width) each, what InstantID's is shown for the
        words."""
        self._unit, self._module, self._hint, self._region = unit, module, hint, region
        self._second_pass, self._identity = second_pass, identity
        self._features = _features(module, hint)
        self._type = _union_type(unit, module) if isinstance(module, ControlNetUnionModel) else 0
        faces = tuple(identity[0].shape) if identity is not None else ()
        self.kind: Hashable = (file, tuple(hint.shape), self._type, faces)
        """What has to be equal for two pictures' units to be run as one."""

    def at_work(self, share: float) -> bool:
        """Whether it counts where `share` of the pass's steps are done."""
        return self._unit.guidance_start <= share <= self._unit.guidance_end

    def of_call(self, rows: int, positive: int) -> Control:
        """Its part of a call of `rows`, the last `positive` of them for prompts to draw towards."""
        layers = torch.tensor(self._layer_weights(), dtype=torch.float32)
        scales = layers.repeat(rows, 1)
        if self._unit.control_mode is ControlMode.CONTROL and not isinstance(self._module, LiteControl):
            scales[: rows - positive] = 0
        tokens = None
        if self._identity is not None:
            nobody, face = self._identity
            tokens = torch.cat([nobody.expand(rows - positive, -1, -1), face.expand(positive, -1, -1)])
        return Control(
            self._module, self._hint, self._features, scales.to(self._hint), self._region, self._type, tokens
        )

    def _layer_weights(self) -> list[float]:
        unit = self._unit
        if isinstance(self._module, LiteControl):
            return [unit.weight]
        count = len(self._features) or len(self._module.controlnet_down_blocks) + 1
        if unit.layer_weights:
            return [*unit.layer_weights, *[unit.weight] * count][:count]
        thin = self._second_pass and any(one in unit.module.lower() for one in _THIN_LINES)
        if unit.control_mode is ControlMode.BALANCED and not thin:
            return [unit.weight] * count
        if self._features:
            return [unit.weight * one for one in _ADAPTER_SOFT][:count]
        return [unit.weight * _DECAY ** (_LAYERS - 1 - layer) for layer in range(count)]


def _features(module: Any, hint: torch.Tensor) -> tuple[torch.Tensor, ...]:
    if isinstance(module, LiteControl):
        return module.seen(hint)
    return tuple(module(hint)) if isinstance(module, T2IAdapter) else ()


def _union_type(unit: ControlUnit, module: ControlNetUnionModel) -> int:
    said = (unit.control_type or unit.module).strip().lower()
    found = next((number for name, number in _UNION_TYPES.items() if said.startswith(name)), _HARD_EDGE)
    return found if found < int(module.config.num_control_type) else _HARD_EDGE


def control_inputs(
    controls: Sequence[Sequence[Control]],
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    tokens: torch.Tensor,
    added: Mapping[str, Any],
    *,
    tiling: bool,
) -> dict[str, Any]:
    """What the UNet takes besides in a call for several pictures, whose `controls` are alike one by one.

    The other arguments are the UNet's own, with all rows.
    """
    down: list[torch.Tensor] = []
    inside: list[torch.Tensor] = []
    for alike in zip(*controls, strict=True):
        if isinstance(alike[0].module, LiteControl):
            continue
        if alike[0].features:
            features = zip(*(control.features for control in alike), strict=True)
            inside = _sum(inside, _weighed([_rows(alike, layer) for layer in features], alike))
            continue
        hint = _rows(alike, [one.hint for one in alike])
        with edges_meet(alike[0].module, tiling):
            layers = _run(alike[0], hint, latents, timesteps, _told(alike, tokens), added)
        down = _sum(down, _weighed(layers, alike))
    inputs: dict[str, Any] = {}
    if down:
        inputs["down_block_additional_residuals"] = tuple(down[:-1])
        inputs["mid_block_additional_residual"] = down[-1]
    if inside:
        inputs["down_intrablock_additional_residuals"] = inside
    return inputs


def _told(alike: Sequence[Control], words: torch.Tensor) -> torch.Tensor:
    """What the controls are told beside their pictures: the words, or their own."""
    own = [one.tokens for one in alike if one.tokens is not None]
    return torch.cat(own) if own else words


def _run(
    control: Control,
    hint: torch.Tensor,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    tokens: torch.Tensor,
    added: Mapping[str, Any],
) -> list[torch.Tensor]:
    """The residuals of one ControlNet, the middle's last."""
    module = control.module
    if isinstance(module, ControlNetUnionModel):
        types = torch.zeros((len(hint), int(module.config.num_control_type))).to(hint)
        types[:, control.type] = 1
        down, middle = module(
            latents, timesteps, tokens, [hint], types, [control.type], return_dict=False, **added
        )
    else:
        down, middle = module(latents, timesteps, tokens, hint, return_dict=False, **added)
    return [*down, middle]


def _rows(alike: Sequence[Control], tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """A tensor of each picture, for all rows of the call."""
    return torch.cat(
        [tensor.expand(len(one.scales), -1, -1, -1) for one, tensor in zip(alike, tensors, strict=True)]
    )


def _weighed(layers: Sequence[torch.Tensor], alike: Sequence[Control]) -> list[torch.Tensor]:
    """Layers by the weights of their rows, and of their places where a picture has some."""
    scales = torch.cat([one.scales for one in alike])
    weighed = [layer * scales[:, number, None, None, None] for number, layer in enumerate(layers)]
    if all(one.region is None for one in alike):
        return weighed
    return [layer * _places(alike, layer) for layer in weighed]


def _places(alike: Sequence[Control], layer: torch.Tensor) -> torch.Tensor:
    size = layer.shape[-2:]
    whole = torch.ones((1, 1, *size)).to(layer)
    regions = [
        whole if one.region is None else torch.nn.functional.interpolate(one.region, size, mode="bilinear")
        for one in alike
    ]
    return _rows(alike, regions)


def _sum(before: list[torch.Tensor], layers: list[torch.Tensor]) -> list[torch.Tensor]:
    return [old + new for old, new in zip(before, layers, strict=True)] if before else layers
