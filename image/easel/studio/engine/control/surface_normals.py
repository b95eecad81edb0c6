"""NormalBae (Bae, Budvytis and Cipolla, arXiv 2109.09881; MIT): which way surfaces look, by EfficientNet-B5
and a decoder, as trained on ScanNet (`scannet`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from easel.studio.engine.control.annotator_networks import normalized
from easel.studio.engine.control.tensor_network import TensorNetwork, same_border, twice

# Stages of EfficientNet that begin with a step of two; those whose output the decoder sees.
_HALVE, _SEEN = (1, 2, 3, 5), (0, 1, 2, 4)
_EPS = 1e-3
_NET = "encoder.original_model"


class SurfaceNormals(TensorNetwork):
    """Gives the map (height, width, 3), 0 to 1: x, y and z of the normals from -1 to 1."""

    LEFT_OVER = (f"{_NET}.bn2.",)  # behind where EfficientNet was cut off

    def forward(self, pixels: Tensor) -> Tensor:
        """Normals in four sizes, each made finer by the next."""
        *seen, last = self._encoded(normalized(pixels))
        hidden, features = self.conv("decoder.conv2", last), []
        for number, beside in enumerate(reversed(seen), 1):
            hidden = self._up(f"decoder.up{number}", hidden, beside)
            features.append(hidden)
        found = _unit(self.conv("decoder.out_conv_res8", features[1]))
        for size, feature in zip((4, 2, 1), features[1:], strict=True):
            both = torch.cat([twice(feature), twice(found)], dim=1)
            found = _unit(self._each_pixel(f"decoder.out_conv_res{size}", both))
        return (found[0, :3].permute(1, 2, 0) + 1) / 2

    def _encoded(self, hidden: Tensor) -> list[Tensor]:
        hidden = _swish(self._norm("bn1", self._same("conv_stem", hidden, 2)))
        found = []
        for stage in range(7):
            number = 0
            while self.has(f"{_NET}.blocks.{stage}.{number}.conv_dw.weight"):
                stride = 2 if stage in _HALVE and number == 0 else 1
                hidden = self._block(f"blocks.{stage}.{number}", hidden, stride)
                number += 1
            if stage in _SEEN:
                found.append(hidden)
        return [*found, self.conv(f"{_NET}.conv_head", hidden)]

    def _block(self, name: str, before: Tensor, stride: int) -> Tensor:
        """An inverted residual; without the first convolution in the first stage."""
        hidden, narrow = before, "conv_pwl"
        norms = iter((f"{name}.bn1", f"{name}.bn2", f"{name}.bn3"))
        if self.has(f"{_NET}.{name}.conv_pwl.weight"):
            hidden = _swish(self._norm(next(norms), self._same(f"{name}.conv_pw", hidden, 1)))
        else:
            narrow = "conv_pw"
        hidden = _swish(self._norm(next(norms), self._same(f"{name}.conv_dw", hidden, stride)))
        weight = hidden.mean(dim=(2, 3), keepdim=True)
        weight = self.conv(f"{_NET}.{name}.se.conv_expand",
                           _swish(self.conv(f"{_NET}.{name}.se.conv_reduce", weight)))  # fmt: skip
        hidden = self._norm(next(norms), self._same(f"{name}.{narrow}", hidden * weight.sigmoid(), 1))
        return hidden + before if hidden.shape == before.shape else hidden

    def _same(self, name: str, hidden: Tensor, stride: int) -> Tensor:
        """A convolution with TensorFlow's border: an odd one is right and below."""
        side = self.tensor(f"{_NET}.{name}.weight").shape[-1]
        padded = same_border(hidden, side, stride)
        return self.conv(f"{_NET}.{name}", padded, stride, 0)

    def _norm(self, name: str, hidden: Tensor) -> Tensor:
        return self.norm(f"{_NET}.{name}", hidden, _EPS)

    def _up(self, name: str, hidden: Tensor, beside: Tensor) -> Tensor:
        larger = F.interpolate(hidden, beside.shape[-2:], mode="bilinear", align_corners=True)
        hidden = torch.cat([larger, beside], dim=1)
        for number in (0, 3):
            hidden = self.norm(f"{name}._net.{number + 1}", self.conv(f"{name}._net.{number}", hidden))
            hidden = F.leaky_relu(hidden)
        return hidden

    def _each_pixel(self, name: str, hidden: Tensor) -> Tensor:
        height, width = hidden.shape[-2:]
        found = hidden.flatten(2)
        for number in (0, 2, 4, 6):
            found = self.conv(f"{name}.{number}", found)
            found = F.relu(found) if number < 6 else found
        return found.reshape(1, -1, height, width)


def _unit(found: Tensor) -> Tensor:
    """Normals of length one, beside how sure they are."""
    sure = F.elu(found[:, 3:]) + 1.01
    return torch.cat([found[:, :3] / (found[:, :3].norm(dim=1, keepdim=True) + 1e-10), sure], dim=1)


def _swish(hidden: Tensor) -> Tensor:
    return hidden * hidden.sigmoid()
