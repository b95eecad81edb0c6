"""Networks that make maps of pictures, under the names of their published files.

Each takes pixels (1, 3, height, width), 0 to 1, and gives the map (height, width), 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.control.published_model import layers

# Means and deviations of ImageNet, red, green, blue.
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SoftEdges(nn.Module):
    """HED (Xie and Tu, ICCV 2015) as ControlNet's authors trained it: `ControlNetHED`."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        for number in range(1, 6):
            stage = f"block{number}.convs."
            shapes = [one.shape for name, one in sorted(tensors.items())
                      if name.startswith(stage) and name.endswith("weight")]  # fmt: skip
            setattr(self, f"block{number}", _Stage([(shape[1], shape[0]) for shape in shapes]))

    def forward(self, pixels: Tensor) -> Tensor:
        """Edges, soft: the mean of what each stage says."""
        hidden, size = pixels * 255 - self.norm, pixels.shape[-2:]
        said = []
        for number in range(1, 6):
            if number > 1:
                hidden = F.max_pool2d(hidden, 2)
            hidden, edges = getattr(self, f"block{number}")(hidden)
            said.append(F.interpolate(edges, size, mode="bilinear"))
        return torch.cat(said, dim=1).mean(dim=1)[0].sigmoid()


class _Stage(nn.Module):
    def __init__(self, widths: list[tuple[int, int]]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(one, other, 3, padding=1) for one, other in widths)
        self.projection = nn.Conv2d(widths[-1][1], 1, 1)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        for conv in self.convs:
            hidden = F.relu(conv(hidden))
        return hidden, self.projection(hidden)


class LineDrawing(nn.Module):
    """Lines of a photograph (Chan et al., "Learning to generate line drawings", CVPR 2022): `sk_model`,
    `sk_model2`."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        width = tensors["model0.1.weight"].shape[0]
        blocks = {name.split(".")[1] for name in tensors if name.startswith("model2.")}
        self.model0 = _layers(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7))
        self.model1 = _layers(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.Conv2d(2 * width, 4 * width, 3, 2, 1))
        self.model2 = nn.Sequential(*(_Residual(4 * width) for _ in blocks))
        self.model3 = _layers(
            nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, output_padding=1),
            nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1),
        )
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Sigmoid())

    def forward(self, pixels: Tensor) -> Tensor:
        """White lines: the network itself draws black ones."""
        hidden = pixels
        for part in (self.model0, self.model1, self.model2, self.model3, self.model4):
            hidden = part(hidden)
        return 1 - hidden[0, 0]


def _layers(*parts: nn.Module) -> nn.Sequential:
    """Each convolution with its norm and nonlinearity."""
    found: list[nn.Module] = []
    for part in parts:
        found.append(part)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            found += [nn.InstanceNorm2d(part.out_channels), nn.ReLU()]
    return nn.Sequential(*found)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        parts = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.conv_block = nn.Sequential(*parts, nn.ReLU(), *(_again(one) for one in parts))

    def forward(self, hidden: Tensor) -> Tensor:
        found: Tensor = hidden + self.conv_block(hidden)
        return found


def _again(part: nn.Module) -> nn.Module:
    """Another of the same kind, with weights of its own."""
    if isinstance(part, nn.Conv2d):
        return nn.Conv2d(part.in_channels, part.out_channels, 3)
    return part


class AnimeDrawing(nn.Module):
    """Lines of a drawing: the U-Net of pix2pix (Isola et al., CVPR 2017) with eight levels: `netG`."""

    MULTIPLE = 256

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        width = tensors["model.model.0.weight"].shape[0]
        inner = _Level(8 * width, 8 * width, None)
        for out, within in ((8, 8), (8, 8), (8, 8), (4, 8), (2, 4), (1, 2)):
            inner = _Level(out * width, within * width, inner)
        self.model = _Outside(width, inner)

    def forward(self, pixels: Tensor) -> Tensor:
        """White lines. The picture is stretched to multiples of 256 pixels and back, as A1111 does it."""
        size = pixels.shape[-2:]
        fit = [-(-side // self.MULTIPLE) * self.MULTIPLE for side in size]
        seen = F.interpolate(pixels, fit, mode="bicubic", align_corners=False).clamp(0, 1)
        lines = F.interpolate(self.model(seen * 2 - 1), size, mode="bicubic", align_corners=False)
        return (1 - (lines[0, 0] + 1) / 2).clamp(0, 1)


class _Outside(nn.Module):
    def __init__(self, width: int, inner: nn.Module) -> None:
        super().__init__()
        up = nn.ConvTranspose2d(2 * width, 1, 4, 2, 1)
        self.model = nn.Sequential(nn.Conv2d(3, width, 4, 2, 1), inner, nn.ReLU(), up, nn.Tanh())

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.model(pixels)
        return found


class _Level(nn.Module):
    """A level, with what is further inside; None for the innermost."""

    def __init__(self, width: int, within: int, inner: nn.Module | None) -> None:
        super().__init__()
        # in place, as it was trained: what goes past the level goes through the nonlinearity too
        down = [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(width, within, 4, 2, 1)]
        up_from = within if inner is None else 2 * within
        up = [nn.ReLU(), nn.ConvTranspose2d(up_from, width, 4, 2, 1), nn.InstanceNorm2d(width)]
        self.model = nn.Sequential(*down, *([] if inner is None else [nn.InstanceNorm2d(within), inner]), *up)

    def forward(self, hidden: Tensor) -> Tensor:
        found = self.model(hidden)
        return torch.cat([hidden, found], dim=1)


class Depth(nn.Module):
    """Depth Anything (arXiv 2401.10891) and its second version (2406.09414), by transformers' model; near is
    white."""

    def __init__(self, tensors: Mapping[str, Tensor], *, second: bool) -> None:
        """`tensors` have transformers' names; the two versions look at other layers, which no shape tells."""
        from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

        super().__init__()
        hidden = tensors["backbone.embeddings.cls_token"].shape[-1]
        blocks = layers(tensors, "backbone.encoder.layer.")
        patch = tensors["backbone.embeddings.patch_embeddings.projection.weight"].shape[-1]
        places = tensors["backbone.embeddings.position_embeddings"].shape[1] - 1
        ends = [blocks // 4, blocks // 2, blocks * 3 // 4, blocks]
        if second and blocks == 24:
            ends = [5, 12, 18, 24]
        backbone = Dinov2Config(
            hidden_size=hidden, num_attention_heads=max(1, hidden // 64), num_hidden_layers=blocks,
            image_size=round(places**0.5) * patch, patch_size=patch, reshape_hidden_states=False,
            apply_layernorm=True, out_indices=ends if second else list(range(blocks - 3, blocks + 1)),
        )  # fmt: skip
        self._patch = patch
        neck = [tensors[f"neck.reassemble_stage.layers.{one}.projection.weight"].shape[0] for one in range(4)]
        head = tensors["head.conv1.weight"].shape
        config: dict[str, Any] = {"patch_size": patch, "reassemble_hidden_size": hidden}
        self.model = DepthAnythingForDepthEstimation(
            DepthAnythingConfig(
                backbone_config=backbone, neck_hidden_sizes=neck, fusion_hidden_size=head[1],
                head_hidden_size=tensors["head.conv2.weight"].shape[0], **config,
            )
        )  # fmt: skip
        self._side = round(places**0.5) * patch

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """The names of the file are those of the model within."""
        return self.model.load_state_dict(state_dict, strict, assign)

    def forward(self, pixels: Tensor) -> Tensor:
        """From far to near, each picture from 0 to 1 for itself."""
        size = pixels.shape[-2:]
        scale = self._side / min(size)
        fit = [max(1, round(side * scale / self._patch)) * self._patch for side in size]
        seen = F.interpolate(pixels, fit, mode="bicubic", align_corners=False, antialias=True)
        found = self.model(normalized(seen)).predicted_depth
        depth: Tensor = F.interpolate(found[:, None], size, mode="bilinear", align_corners=False)[0, 0]
        return from_least_to_most(depth)


def normalized(pixels: Tensor) -> Tensor:
    """Pixels, 0 to 1, by ImageNet's means and deviations."""
    means, deviations = (torch.tensor(one).reshape(1, 3, 1, 1).to(pixels) for one in (_MEANS, _DEVIATIONS))
    return (pixels - means) / deviations


def from_least_to_most(depth: Tensor) -> Tensor:
    """The same from 0 to 1."""
    least, most = depth.min(), depth.max()
    return (depth - least) / (most - least).clamp_min(1e-6)
