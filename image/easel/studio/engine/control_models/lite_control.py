"""ControlNet-LLLite (Kohya S., 2023): a control as small networks, one before each projection that an
attention asks, looks up and reads by. Each adds to what the projection sees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from easel.studio.engine.control_models.control_residuals import Control

Shapes = Mapping[str, tuple[int, ...]]

_SEEN = "conditioning1"
_NAME = re.compile(
    r"^lllite_unet_(input|middle|output)_block(?:s_(\d+))?_1_transformer_blocks_(\d+)_(attn[12])_to_([qkv])$"
)


class LiteControl(nn.Module):
    """One file's: `paths` are the UNet's layers that its parts stand before, in their order."""

    parts: Any

    def __init__(self, shapes: Shapes, layers_per_block: int) -> None:
        """`shapes` are the file's. Raises ValueError for a part that stands before no such layer, and
        KeyError for one that lacks something."""
        super().__init__()
        self.names = sorted({name.partition(".")[0] for name in shapes})
        self.paths = [_path(name, layers_per_block) for name in self.names]
        self.parts = nn.ModuleList(_Part(name, shapes) for name in self.names)

    def named(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """A file's tensors under the module's names."""
        numbers = {name: number for number, name in enumerate(self.names)}
        split = ((name.partition("."), one) for name, one in tensors.items())
        return {f"parts.{numbers[start]}.{rest}": one for (start, _, rest), one in split}

    def seen(self, hint: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What each part sees in the picture (1, 3, height, width), 0 to 1."""
        return tuple(part.conditioning1(hint * 2 - 1) for part in self.parts)


def has_lite(controls: Sequence[Control]) -> bool:
    """Whether one of a call's controls is a LLLite."""
    return any(isinstance(one.module, LiteControl) for one in controls)


class _Part(nn.Module):
    down: Any
    mid: Any

    def __init__(self, name: str, shapes: Shapes) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        width = 0
        for number in (0, 2, 4):
            if (shape := shapes.get(f"{name}.{_SEEN}.{number}.weight")) is not None:
                width, into, side, _ = shape
                steps += [nn.Conv2d(into, width, side, side), nn.ReLU()]
        self.conditioning1 = nn.Sequential(*steps[:-1])
        self.down, self.mid, self.up = (
            nn.Sequential(_linear(shapes[f"{name}.{one}.0.weight"]), nn.ReLU())
            for one in ("down", "mid", "up")
        )
        if self.mid[0].in_features != self.down[0].out_features + width:
            raise ValueError(f"the parts of {name} are not of one width")

    def forward(self, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """What is to be added to (rows, places, width); `seen` is (rows, places, its own width)."""
        found: torch.Tensor = self.up[0](self.mid(torch.cat([seen, self.down(hidden)], dim=2)))
        return found


def _linear(shape: tuple[int, ...]) -> nn.Linear:
    out, into = shape
    return nn.Linear(into, out)


def _path(name: str, layers_per_block: int) -> str:
    """The UNet's layer that the part of this name, which is in the original code's words, stands before."""
    parts = _NAME.match(name)
    if parts is None:
        raise ValueError(f"{name} stands before no layer that is known here")
    where, number, block, attention, projection = parts.groups()
    each = layers_per_block + 1
    if where == "middle":
        place = "mid_block.attentions.0"
    elif where == "input":
        place = f"down_blocks.{(int(number) - 1) // each}.attentions.{(int(number) - 1) % each}"
    else:
        place = f"up_blocks.{int(number) // each}.attentions.{int(number) % each}"
    return f"{place}.transformer_blocks.{block}.{attention}.to_{projection}"


@contextmanager
def lite_controls_at_work(
    unet: Any, controls: Sequence[Sequence[Control]], size: tuple[int, int]
) -> Iterator[None]:
    """Within this, the UNet's projections see what the pictures' LLLites add, in a call for several whose
    `controls` are alike one by one. `size` is the latents' height and width."""
    before: dict[str, list[_Together]] = {}
    for alike in zip(*controls, strict=True):
        if isinstance(alike[0].module, LiteControl):
            for number, path in enumerate(alike[0].module.paths):
                before.setdefault(path, []).append(_Together(alike, number, size))
    hooks = [
        unet.get_submodule(path).register_forward_pre_hook(_adding(parts)) for path, parts in before.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _adding(parts: Sequence[_Together]) -> Any:
    """Those of several units see what the projection would have seen without the others."""

    def add(layer: Any, seen: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (seen[0] + sum(one.added(seen[0]) for one in parts), *seen[1:])

    return add


class _Together:
    """One part of one file, for all rows of a call."""

    def __init__(self, alike: Sequence[Control], number: int, size: tuple[int, int]) -> None:
        self._alike, self._number, self._size = alike, number, size
        self._part = alike[0].module.parts[number]

    def added(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is added to (rows, places, width)."""
        height, width = self._size
        while height * width > hidden.shape[1]:
            height, width = -(-height // 2), -(-width // 2)
        seen = torch.cat([_rows(one, one.features[self._number], height, width, "nearest-exact")
                          for one in self._alike])  # fmt: skip
        found: torch.Tensor = (
            self._part(hidden, seen) * torch.cat([one.scales[:, :1] for one in self._alike])[..., None]
        )
        if all(one.region is None for one in self._alike):
            return found
        whole = torch.ones((1, 1, 1, 1)).to(found)
        return found * torch.cat([
            _rows(one, whole if one.region is None else one.region, height, width, "bilinear")
            for one in self._alike
        ])  # fmt: skip


def _rows(control: Control, tensor: torch.Tensor, height: int, width: int, mode: str) -> torch.Tensor:
    """(rows, places, channels) of (1, channels, …), for the rows of one picture."""
    if tensor.shape[2:] != (height, width):
        tensor = F.interpolate(tensor, (height, width), mode=mode)
    return tensor.flatten(2).mT.expand(len(control.scales), -1, -1)
