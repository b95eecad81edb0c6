"""MiDaS 3 (Ranftl et al., arXiv 2103.13413; MIT): how near things are, by a hybrid of ResNet and ViT
(`dpt_hybrid-midas-501f0c75`), in the names of its own file. And the normals that follow from it."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easel.studio.engine.control.annotator_networks import from_least_to_most
from easel.studio.engine.control.tensor_network import TensorNetwork, same_border, twice

_VIT = "pretrained.model"
_RESNET = f"{_VIT}.patch_embed.backbone"
_GROUPS, _HEAD = 32, 64
# Of the transformer's blocks, those that the decoder sees as well.
_SEEN = (8, 11)
_UP = 2 * np.pi


class MidasDepth(TensorNetwork):
    """Gives (height, width): the larger, the nearer, in no unit."""

    # what classified pictures, and half of a block that has nothing to add to
    LEFT_OVER = (f"{_VIT}.norm.", f"{_VIT}.head.", "scratch.refinenet4.resConfUnit1.")

    def forward(self, pixels: Tensor) -> Tensor:
        """The picture is seen from -1 to 1."""
        small, smaller, features = self._resnet(pixels * 2 - 1)
        third, fourth = self._transformer(features)
        seen = (small, smaller, self._readout(3, third, features), self._readout(4, fourth, features))
        hidden = self._fused(4, None, self.conv("scratch.layer4_rn", seen[3]))
        for number in (3, 2, 1):
            hidden = self._fused(number, hidden, self.conv(f"scratch.layer{number}_rn", seen[number - 1]))
        hidden = twice(self.conv("scratch.output_conv.0", hidden))
        hidden = F.relu(self.conv("scratch.output_conv.2", hidden))
        return F.relu(self.conv("scratch.output_conv.4", hidden))[0, 0]

    def _resnet(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each of three stages makes of the picture."""
        hidden = F.relu(self._grouped(f"{_RESNET}.stem.norm", self._std(f"{_RESNET}.stem.conv", hidden, 2)))
        hidden = F.max_pool2d(same_border(hidden, 3, 2, -torch.inf), 3, 2)
        found = []
        for stage in range(3):
            for number in count():
                name = f"{_RESNET}.stages.{stage}.blocks.{number}"
                if not self.has(f"{name}.conv1.weight"):
                    break
                hidden = self._bottleneck(name, hidden, 2 if stage and number == 0 else 1)
            found.append(hidden)
        return found[0], found[1], found[2]

    def _bottleneck(self, name: str, before: Tensor, stride: int) -> Tensor:
        hidden = before
        for number, step in ((1, 1), (2, stride), (3, 1)):
            hidden = self._grouped(f"{name}.norm{number}", self._std(f"{name}.conv{number}", hidden, step))
            hidden = F.relu(hidden) if number < 3 else hidden
        if self.has(f"{name}.downsample.conv.weight"):
            before = self._std(f"{name}.downsample.conv", before, stride)
            before = self._grouped(f"{name}.downsample.norm", before)
        return F.relu(hidden + before)

    def _std(self, name: str, hidden: Tensor, stride: int) -> Tensor:
        """A convolution whose weights are brought to mean 0 and deviation 1, with TensorFlow's border."""
        weight = self.tensor(f"{name}.weight")
        each = weight.flatten(1)
        even = (each - each.mean(dim=1, keepdim=True)) / (
            each.var(dim=1, keepdim=True, correction=0) + 1e-8
        ).sqrt()
        return F.conv2d(
            same_border(hidden, weight.shape[-1], stride), even.reshape(weight.shape), stride=stride
        )

    def _grouped(self, name: str, hidden: Tensor) -> Tensor:
        return F.group_norm(hidden, _GROUPS, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))

    def _transformer(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.conv(f"{_VIT}.patch_embed.proj", features)
        places = self.tensor(f"{_VIT}.pos_embed")
        side = round((places.shape[1] - 1) ** 0.5)
        grid = places[:, 1:].mT.reshape(1, -1, side, side)
        grid = F.interpolate(grid, hidden.shape[-2:], mode="bilinear").flatten(2).mT
        first = self.tensor(f"{_VIT}.cls_token") + places[:, :1]
        hidden = torch.cat([first, hidden.flatten(2).mT + grid], dim=1)
        found = []
        for number in range(_SEEN[-1] + 1):
            name = f"{_VIT}.blocks.{number}"
            hidden = hidden + self._attention(f"{name}.attn", self._layered(f"{name}.norm1", hidden))
            inner = F.gelu(self.linear(f"{name}.mlp.fc1", self._layered(f"{name}.norm2", hidden)))
            hidden = hidden + self.linear(f"{name}.mlp.fc2", inner)
            if number in _SEEN:
                found.append(hidden)
        return found[0], found[1]

    def _attention(self, name: str, hidden: Tensor) -> Tensor:
        heads = hidden.shape[-1] // _HEAD
        each = self.linear(f"{name}.qkv", hidden).reshape(1, -1, 3, heads, _HEAD)
        query, key, value = each.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.linear(f"{name}.proj", seen.transpose(1, 2).flatten(2))

    def _layered(self, name: str, hidden: Tensor) -> Tensor:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return F.layer_norm(hidden, weight.shape, weight, bias, 1e-6)

    def _readout(self, number: int, hidden: Tensor, features: Tensor) -> Tensor:
        """The places as a picture again, each told what the first token has gathered."""
        name, places = f"pretrained.act_postprocess{number}", hidden[:, 1:]
        told = torch.cat([places, hidden[:, :1].expand_as(places)], dim=2)
        found = F.gelu(self.linear(f"{name}.0.project.0", told)).mT
        found = self.conv(f"{name}.3", found.reshape(1, -1, *features.shape[-2:]))
        return self.conv(f"{name}.4", found, 2) if self.has(f"{name}.4.weight") else found

    def _fused(self, number: int, below: Tensor | None, beside: Tensor) -> Tensor:
        name = f"scratch.refinenet{number}"
        hidden = beside if below is None else below + self._unit(f"{name}.resConfUnit1", beside)
        return self.conv(f"{name}.out_conv", twice(self._unit(f"{name}.resConfUnit2", hidden)))

    def _unit(self, name: str, hidden: Tensor) -> Tensor:
        return hidden + self.conv(f"{name}.conv2", F.relu(self.conv(f"{name}.conv1", F.relu(hidden))))


def as_nearness(depth: Tensor, a: float, b: float) -> Tensor:
    """Near is white."""
    return from_least_to_most(depth)


def as_normals(depth: Tensor, background: float, b: float) -> Tensor:
    """Which way surfaces look, by how depth changes (Sobel's 3x3); what is further than `background` (0 to 1)
    looks at the viewer."""
    wide = F.pad(depth[None, None], (1, 1, 1, 1), mode="reflect")
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    slopes = F.conv2d(wide, torch.stack([kernel, kernel.T])[:, None])[0]
    slopes = slopes * (from_least_to_most(depth) >= background)
    normals = torch.cat([slopes, torch.full_like(slopes[:1], _UP)])
    normals = F.normalize(normals, dim=0)
    return (normals.flip(0).permute(1, 2, 0) + 1) / 2
