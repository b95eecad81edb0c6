"""Whose face it is, as numbers: ArcFace (Deng et al., arXiv 1801.07698) as InsightFace publishes it
(`w600k_r50.onnx` of buffalo_l, `glintr100.onnx` of antelopev2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from easel.models import ONNX, first_nodes
from easel.studio.engine.control.onnx_network import OnnxNetwork
from easel.studio.engine.imaging.face_alignment import alignment

WIDTH = 512
"""How many numbers a face is."""
_SIDE = 112
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_MIDDLE = 127.5
# MXNet's exports begin with operators that do the same to the pixels themselves.
_BY_ITSELF = (("Sub", "_minus"), ("Mul", "_mul"))
_FIRST = 8


class FaceIdentity(OnnxNetwork):
    """Gives (1, 512) of a face whose points are in the template's places."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        names = first_nodes(tensors[ONNX].numpy().data, _FIRST)
        self._whole_pixels = all(any(one.startswith(signs) for one in names) for signs in _BY_ITSELF)

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """See OnnxNetwork."""
        size = self.size(_SIDE, _SIDE)
        found = [one.shape for one in self.run(np.zeros((1, 3, *size), np.float32))]
        if size != (_SIDE, _SIDE) or found != [(1, WIDTH)]:
            raise ValueError(f"it gives {found} where {WIDTH} numbers of a face are asked for")

    def vector(self, pixels: Tensor, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Of a face in (1, 3, height, width), bytes, with these five points (5, 2): (512,), of any
        length."""
        face = cut_out(pixels, points)
        (found,) = self.run(face if self._whole_pixels else (face - _MIDDLE) / _MIDDLE)
        numbers: NDArray[np.float32] = found[0]
        return numbers


def cut_out(pixels: Tensor, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """(1, 3, 112, 112), 0 to 255: the face turned, sized and moved to ArcFace's template; black beside the
    picture."""
    height, width = pixels.shape[-2:]
    back = np.linalg.pinv(np.vstack([alignment(points, _TEMPLATE), [0.0, 0.0, 1.0]]))[:2]
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    at = np.stack([columns, rows, np.ones_like(rows)], axis=2) @ back.T
    # a photograph has fifty million pixels, a face some of them
    (left, top), (right, bottom) = (
        np.clip(end, 0, (width, height)).astype(int)
        for end in (np.floor(at.min(axis=(0, 1))) - 1, np.ceil(at.max(axis=(0, 1))) + 2)
    )
    if left >= right or top >= bottom:
        return np.zeros((1, 3, _SIDE, _SIDE), np.float32)
    at = (at - (left, top)) * 2 / np.maximum(1, (right - left - 1, bottom - top - 1)) - 1
    seen = pixels[..., top:bottom, left:right].float()
    grid = torch.from_numpy(at).float()[None]
    found: NDArray[np.float32] = F.grid_sample(seen, grid, align_corners=True).round().numpy()
    return found
