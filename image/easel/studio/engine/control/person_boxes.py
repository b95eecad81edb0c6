"""Where people are in a picture: YOLOX (Ge et al., arXiv 2107.08430) as `yolox_l.onnx`, with the numbers that
DWPose and A1111's extension run it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from easel.studio.engine.control.onnx_network import OnnxNetwork

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
_SIDE, _STRIDES, _GREY = 640, (8, 16, 32), 114
_PERSON = 0
# How sure it must be that there is something, and a person; and how much of two boxes may be shared.
_ANYTHING, _SURE, _OVERLAP = 0.1, 0.3, 0.45
_MOST = 100


class PersonBoxes(OnnxNetwork):
    """Gives (1, places, 5 + classes): middle, size, sureness that there is something, and of what."""

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """See OnnxNetwork."""
        height, width = self.size(_SIDE, _SIDE)
        (found,) = self.run(np.full((1, 3, height, width), _GREY, np.float32))
        if found.ndim != 3 or found.shape[1] != len(_grid(height, width)[0]) or found.shape[2] < 6:
            raise ValueError(f"it gives {found.shape} where boxes are asked for")

    def people(self, pixels: Tensor) -> list[Box]:
        """Of (1, 3, height, width), 0 to 1, a box for each person, the surest first. Where there is
        something, but nobody, the whole picture, as in the extension."""
        from torchvision.ops import nms

        seen, ratio = self._seen(pixels)
        found = torch.from_numpy(self._read(seen))
        sure = found[:, 4:5] * found[:, 5:]
        middle, half = found[:, :2], found[:, 2:4] / 2
        boxes = torch.cat([middle - half, middle + half], dim=1) / ratio
        if not bool((sure > _ANYTHING).any()):
            return []
        person = sure[:, _PERSON]
        boxes, person = boxes[person > _SURE], person[person > _SURE]
        # a box of the extension has its last pixel within
        kept = nms(boxes + torch.tensor([0.0, 0.0, 1.0, 1.0]), person, _OVERLAP)[:_MOST]
        if not len(kept):
            height, width = pixels.shape[-2:]
            return [(0.0, 0.0, float(width), float(height))]
        return [(one[0], one[1], one[2], one[3]) for one in boxes[kept].tolist()]

    def _seen(self, pixels: Tensor) -> tuple[NDArray[np.float32], float]:
        """The picture at the left and at the top of a grey one, and how much smaller it is."""
        height, width = pixels.shape[-2:]
        high, wide = self.size(_SIDE, _SIDE)
        ratio = min(high / height, wide / width)
        size = max(1, int(height * ratio)), max(1, int(width * ratio))
        small = F.interpolate(pixels * 255, size, mode="bilinear", align_corners=False).round()
        seen: NDArray[np.float32] = F.pad(small, (0, wide - size[1], 0, high - size[0]), value=_GREY).numpy()
        return seen, ratio

    def _read(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        (found,) = self.run(seen)
        places, strides = _grid(*seen.shape[-2:])
        told: NDArray[np.float32] = found[0].copy()
        told[:, :2] = (told[:, :2] + places) * strides
        told[:, 2:4] = np.exp(np.minimum(told[:, 2:4], 20)) * strides
        return told


def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row of each place that is told of, and how many pixels it is wide, the finest first."""
    places, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        places.append(np.stack([columns, rows], axis=2).reshape(-1, 2))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)
