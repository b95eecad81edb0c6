"""UniFormer (Li et al., arXiv 2201.09450; MIT) under UPerNet (Xiao et al., arXiv 1807.10221): what is where
in a picture, of ADE20K's 150 kinds, each in its colour (`upernet_global_small`), in the names of its file."""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor

from easel.studio.engine.control.ade_colours import ADE_COLOURS
from easel.studio.engine.control.annotator_networks import normalized
from easel.studio.engine.control.tensor_network import TensorNetwork

_BODY, _TOP = "backbone", "decode_head"
_HEAD, _POOLED = 64, (1, 2, 3, 6)
# Of what it sees the shorter side, and the most of the longer one.
_SHORT, _LONG = 512, 2048


class UniformerSegments(TensorNetwork):
    """Gives (height, width, 3), bytes."""

    # what was of use in its training
    LEFT_OVER = ("auxiliary_head.",)

    def forward(self, pixels: Tensor) -> Tensor:
        """The picture is shown blue first, as in A1111's extension."""
        size = pixels.shape[-2:]
        scale = min(_LONG / max(size), _SHORT / min(size))
        fit = [int(side * scale + 0.5) for side in size]
        seen = F.interpolate(pixels.flip(1) * 255, fit, mode="bilinear").round() / 255
        kinds = self._kinds(self._stages(normalized(seen)))
        for larger in (fit, size):
            kinds = F.interpolate(kinds, larger, mode="bilinear")
        return torch.from_numpy(ADE_COLOURS.copy())[kinds[0].argmax(dim=0)]

    def probe(self, pixels: Tensor) -> None:
        """Without making the picture large, which takes seconds."""
        self._kinds(self._stages(pixels))

    def _stages(self, hidden: Tensor) -> list[Tensor]:
        """What each of four stages makes of the picture, the finest first."""
        found = []
        for stage in range(1, 5):
            name = f"{_BODY}.patch_embed{stage}"
            side = self.tensor(f"{name}.proj.weight").shape[-1]
            hidden = self._layered(f"{name}.norm", self.conv(f"{name}.proj", hidden, side, 0), 1e-5)
            for number in count():
                name = f"{_BODY}.blocks{stage}.{number}"
                if not self.has(f"{name}.norm1.weight"):
                    break
                hidden = hidden + self.conv(f"{name}.pos_embed", hidden)
                looks = self._looked_near if self.has(f"{name}.conv1.weight") else self._looked_everywhere
                hidden = looks(name, hidden)
            found.append(self._layered(f"{_BODY}.norm{stage}", hidden))
        return found

    def _looked_near(self, name: str, hidden: Tensor) -> Tensor:
        near = self.conv(f"{name}.conv1", self.norm(f"{name}.norm1", hidden))
        hidden = hidden + self.conv(f"{name}.conv2", self.conv(f"{name}.attn", near))
        inner = F.gelu(self.conv(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", hidden)))
        return hidden + self.conv(f"{name}.mlp.fc2", inner)

    def _looked_everywhere(self, name: str, hidden: Tensor) -> Tensor:
        places = hidden.shape
        hidden = hidden + self._attention(f"{name}.attn", self._layered(f"{name}.norm1", hidden))
        row = self._layered(f"{name}.norm2", hidden).flatten(2).mT
        inner = self.linear(f"{name}.mlp.fc2", F.gelu(self.linear(f"{name}.mlp.fc1", row)))
        return hidden + inner.mT.reshape(places)

    def _attention(self, name: str, hidden: Tensor) -> Tensor:
        heads = max(1, hidden.shape[1] // _HEAD)
        each = self.linear(f"{name}.qkv", hidden.flatten(2).mT)
        query, key, value = each.reshape(1, -1, 3, heads, hidden.shape[1] // heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.linear(f"{name}.proj", seen.transpose(1, 2).flatten(2)).mT.reshape(hidden.shape)

    def _layered(self, name: str, hidden: Tensor, eps: float = 1e-6) -> Tensor:
        """A layer norm of what each place holds."""
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return F.layer_norm(hidden.permute(0, 2, 3, 1), weight.shape, weight, bias, eps).permute(0, 3, 1, 2)

    def _kinds(self, stages: list[Tensor]) -> Tensor:
        """How sure it is of each kind, a place for four pixels."""
        last = stages[-1]
        pooled = [
            self._step(f"{_TOP}.psp_modules.{number}.1", F.adaptive_avg_pool2d(last, places))
            for number, places in enumerate(_POOLED)
        ]
        whole = torch.cat([last, *(_as_large(one, last) for one in pooled)], dim=1)
        levels = [self._step(f"{_TOP}.lateral_convs.{number}", one) for number, one in enumerate(stages[:-1])]
        levels.append(self._step(f"{_TOP}.bottleneck", whole))
        for number in range(len(levels) - 1, 0, -1):
            levels[number - 1] = levels[number - 1] + _as_large(levels[number], levels[number - 1])
        fine = [self._step(f"{_TOP}.fpn_convs.{number}", one) for number, one in enumerate(levels[:-1])]
        fine.append(levels[-1])
        both = torch.cat([_as_large(one, fine[0]) for one in fine], dim=1)
        return self.conv(f"{_TOP}.conv_seg", self._step(f"{_TOP}.fpn_bottleneck", both))

    def _step(self, name: str, hidden: Tensor) -> Tensor:
        return F.relu(self.norm(f"{name}.bn", self.conv(f"{name}.conv", hidden)))


def _as_large(one: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(one, other.shape[-2:], mode="bilinear")
