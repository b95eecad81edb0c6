"""RetinaFace (Deng et al., CVPR 2020) with a ResNet-50: where faces are, and five landmarks in each.

The network that facexlib, and A1111 by it, find faces with: `detection_Resnet50_Final`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from easel.studio.engine.imaging.face_areas import FaceArea

# A1111's numbers: the shorter side that is looked at, how sure it has to be, how much two may overlap, and
# how far apart eyes have to be, in pixels.
_SIDE, _SURE, _OVERLAP, _EYES = 640, 0.97, 0.4, 5.0
_LARGEST = 2150
# Squares that are asked whether they are faces: two sizes for each cell of three grids, in pixels.
_GRIDS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
_MOVES, _GROWS = 0.1, 0.2
# Means of blue, green and red of what it was trained on, channels in this order.
_MEANS = (104.0, 117.0, 123.0)
_WIDTH, _ANCHORS = 256, 2


class RetinaFace(nn.Module):
    """The network, under the names of its published file."""

    def __init__(self) -> None:
        from torchvision.models import resnet50

        super().__init__()
        self.body = resnet50(weights=None)
        del self.body.fc
        self.fpn = _Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = _Context(), _Context(), _Context()
        self.ClassHead, self.BboxHead, self.LandmarkHead = _heads(2), _heads(4), _heads(10)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of (1, 3, height, width): whether each square is a face (squares, 2), how it has to be moved
        (squares, 4), its landmarks (squares, 10)."""
        body = self.body
        small = body.layer1(body.maxpool(body.relu(body.bn1(body.conv1(pixels)))))
        middle = body.layer2(small)
        large = body.layer3(middle)
        levels = self.fpn(middle, large, body.layer4(large))
        seen = [context(one) for context, one in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]
        return tuple(
            torch.cat([head(one) for head, one in zip(heads, seen, strict=True)])
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )  # type: ignore[return-value]


def load_face_detector(tensors: Mapping[str, Tensor]) -> RetinaFace:
    """The network with these weights. Raises RuntimeError for weights of another one."""
    network = RetinaFace()
    network.load_state_dict({name.removeprefix("module."): one for name, one in tensors.items()})
    return network.eval().requires_grad_(False)


def find_faces(network: Any, image: Image.Image) -> list[NDArray[np.float64]]:
    """Landmarks (5, 2) of each face of an RGB picture, in its pixels, the surest first."""
    _, found, _ = _looked_for(network, image, _SURE)
    return [one for one in found if np.linalg.norm(one[0] - one[1]) >= _EYES]


def face_areas(network: Any, image: Image.Image, sure: float) -> list[FaceArea]:
    """The faces of an RGB picture, within it, the surest first: those that the network is as sure of."""
    boxes, _, scores = _looked_for(network, image, sure)
    boxes = boxes.clip(0, [*image.size, *image.size])
    found = [FaceArea((a, b, c, d), one) for (a, b, c, d), one in zip(boxes.tolist(), scores, strict=True)]
    return [one for one in found if one.pixels > 0]


@torch.inference_mode()
def _looked_for(
    network: Any, image: Image.Image, least: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
    """Boxes (faces, 4), landmarks (faces, 5, 2) in the picture's pixels, and how sure, the surest first."""
    factor = min(_SIDE / min(image.size), _LARGEST / max(image.size))
    size = max(1, int(image.width * factor)), max(1, int(image.height * factor))
    small = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32)[..., ::-1] - _MEANS
    weight = next(network.parameters())
    pixels = torch.from_numpy(small.transpose(2, 0, 1)[None].astype(np.float32)).to(weight)
    sure, moved, marks = (one.float() for one in network(pixels))
    squares = _squares(*size).to(sure)
    scores = F.softmax(sure, dim=-1)[:, 1]
    chosen = scores > least
    scores, squares = scores[chosen], squares[chosen]
    boxes = _boxes(squares, moved[chosen])
    points = squares[:, None, :2] + marks[chosen].unflatten(1, (5, 2)) * _MOVES * squares[:, None, 2:]
    kept = _without_doubles(boxes, scores)
    scale = np.array([image.width / size[0], image.height / size[1]])
    found = boxes[kept].double().cpu().numpy() * np.tile(scale, 2)
    return found, points[kept].double().cpu().numpy() * scale, scores[kept].tolist()


def _squares(width: int, height: int) -> Tensor:
    """(squares, 4): middles and sizes in pixels, row by row of each grid."""
    found = []
    for step, sizes in _GRIDS:
        rows, columns = -(-height // step), -(-width // step)
        y, x, side = torch.meshgrid(
            torch.arange(rows), torch.arange(columns), torch.tensor(sizes), indexing="ij"
        )
        found.append(torch.stack([(x + 0.5) * step, (y + 0.5) * step, side, side], dim=-1).reshape(-1, 4))
    return torch.cat(found)


def _boxes(squares: Tensor, moved: Tensor) -> Tensor:
    """(faces, 4): left, top, right and bottom."""
    middles = squares[:, :2] + moved[:, :2] * _MOVES * squares[:, 2:]
    sizes = squares[:, 2:] * torch.exp(moved[:, 2:] * _GROWS)
    return torch.cat([middles - sizes / 2, middles + sizes / 2], dim=1)


def _without_doubles(boxes: Tensor, scores: Tensor) -> Tensor:
    from torchvision.ops import nms

    found: Tensor = nms(boxes, scores, _OVERLAP)
    return found


def _conv(inward: int, outward: int, side: int, *, relu: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inward, outward, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(outward),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class _Pyramid(nn.Module):
    """What coarse grids see is added to finer ones (FPN, Lin et al., arXiv 1612.03144)."""

    def __init__(self) -> None:
        super().__init__()
        self.output1 = _conv(512, _WIDTH, 1, relu=True)
        self.output2 = _conv(1024, _WIDTH, 1, relu=True)
        self.output3 = _conv(2048, _WIDTH, 1, relu=True)
        self.merge1 = _conv(_WIDTH, _WIDTH, 3, relu=True)
        self.merge2 = _conv(_WIDTH, _WIDTH, 3, relu=True)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three grids, the finest first."""
        fine, middle, coarse = self.output1(fine), self.output2(middle), self.output3(coarse)
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[-2:], mode="nearest"))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[-2:], mode="nearest"))
        return fine, middle, coarse


class _Context(nn.Module):
    """What is around each cell, at three sizes (SSH, Najibi et al., arXiv 1708.03979)."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = _WIDTH // 2, _WIDTH // 4
        self.conv3X3 = _conv(_WIDTH, half, 3, relu=False)
        self.conv5X5_1 = _conv(_WIDTH, quarter, 3, relu=True)
        self.conv5X5_2 = _conv(quarter, quarter, 3, relu=False)
        self.conv7X7_2 = _conv(quarter, quarter, 3, relu=True)
        self.conv7x7_3 = _conv(quarter, quarter, 3, relu=False)

    def forward(self, seen: Tensor) -> Tensor:
        """As many channels as came in."""
        wider = self.conv5X5_1(seen)
        widest = self.conv7x7_3(self.conv7X7_2(wider))
        return F.relu(torch.cat([self.conv3X3(seen), self.conv5X5_2(wider), widest], dim=1))


class _Head(nn.Module):
    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(_WIDTH, _ANCHORS * numbers, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """(squares, numbers)."""
        found: Tensor = self.conv1x1(seen)
        return found.permute(0, 2, 3, 1).reshape(-1, self.numbers)


def _heads(numbers: int) -> nn.ModuleList:
    return nn.ModuleList(_Head(numbers) for _ in _GRIDS)
