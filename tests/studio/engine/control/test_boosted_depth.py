"""LeReS++: what the extension's own code (as controlnet_aux 0.0.10, OpenCV 5.0) made of the same weights and
pictures, taken once. Where it looks and what it merges are judged with a small network in LeReS' place, which
is judged by itself (test_published_annotators.py); both in full width in the long suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from easel.models import FileError, Store
from easel.studio.engine.control.annotator_networks import normalized
from easel.studio.engine.control.boosted_depth import BoostedDepth, DepthMerging
from easel.studio.engine.control.depth_patches import Look, Patch, look, patches
from easel.studio.engine.control.leres_depth import LeresDepth, without_ends
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode
from tests.studio.engine.control import annotator_weights as published
from tests.studio.engine.control.test_published_annotators import PIXELS as WAVES

# Busy on the left, nothing on the right.
PIXELS = np.full((480, 640, 3), 90, np.uint8)
PIXELS[:, :224] = np.random.default_rng(4).integers(0, 256, (60, 28, 3), np.uint8).repeat(8, 0).repeat(8, 1)
HALF = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float() / 255
# Of depth from 0 to 1: mean, spread, some places; and the mean of the map's bytes.
MERGED = {
    "waves": (0.57578, 0.12516, [0.33725, 0.61847, 0.61537, 0.58509, 0.60664], 108.177),
    "half": (0.58773, 0.02776, [0.5818, 0.58498, 0.59106, 0.61088, 0.5896], 105.132),
    "full": (0.46175, 0.18266, [0.43871, 0.36876, 0.3552, 0.44246, 0.57094], 137.255),
}
KERNEL = torch.from_numpy(np.random.default_rng(3).standard_normal((1, 3, 5, 5), np.float32) / 9)


def small(pixels: torch.Tensor) -> torch.Tensor:
    """A network that sees another thing at each size, shown pictures as LeReS is."""
    return F.avg_pool2d(F.conv2d(normalized(pixels.flip(1) * 255), KERNEL, padding=2), 9, 1, 4)[0, 0]


def merging(narrow: int) -> DepthMerging:
    tensors = published.made(published.merging(narrow))
    network = DepthMerging(tensors)
    network.load_state_dict(tensors)
    return network


def test_where_it_looks() -> None:
    """As closely as leaves little without anything near that changes; again at what is busy, the larger
    squares first."""
    assert look(WAVES * 255) == Look(448, 1.0)
    found = look(HALF * 255)
    assert (found.side, found.busy) == (448, pytest.approx(0.428571, abs=1e-6))
    large = F.interpolate(HALF * 255, (1400, 1867), mode="bicubic").round().clamp(0, 255)
    assert patches(large, found.factor) == [
        Patch(171, 171, 1226), Patch(0, 0, 896), Patch(0, 336, 896), Patch(336, 0, 896),
    ]  # fmt: skip
    flat = torch.full((1, 3, 96, 128), 128.0)
    assert look(flat).side >= 448, "nothing changes anywhere: no place is far from any other"
    assert patches(F.interpolate(flat, (1200, 1600)), 1.0) == []
    assert 2 * 1568 / Look(1568, 0.01).factor == pytest.approx(4480), (
        "a few dots make no picture of gigabytes"
    )
    noise = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (1, 3, 46, 46)).astype(np.float32))
    assert len(patches(F.interpolate(noise, (2300, 2300), mode="nearest"), 1.0)) <= 24


@pytest.mark.parametrize("picture", ["waves", "half"])
def test_what_it_merges(picture: str) -> None:
    """From afar and from near, and of a picture as large as what is looked at, patch by patch."""
    found = BoostedDepth(small, merging(16))(WAVES if picture == "waves" else HALF)
    assert tuple(found.shape) == ((128, 192) if picture == "waves" else (480, 640))
    _is_said(found, *MERGED[picture])


def _is_said(
    depth: torch.Tensor, mean: float, spread: float, some: list[float], white: float, off: float = 1e-3
) -> None:
    depth = (depth - depth.min()) / (depth.max() - depth.min())
    height, width = depth.shape
    places = [(height // 9, width // 7), (height // 2, width // 4), (height // 2, width // 2),
              (height * 3 // 4, width * 5 // 6), (height - 3, width - 5)]  # fmt: skip
    assert (float(depth.mean()), float(depth.std())) == pytest.approx((mean, spread), abs=off / 3)
    assert [float(depth[one]) for one in places] == pytest.approx(some, abs=off)
    assert float(without_ends(depth, 0, 0).float().mean()) == pytest.approx(white, abs=0.3)


@pytest.mark.slow
def test_leres_boosted() -> None:
    """LeReS in full width, with fewer blocks, and what merges in full."""
    tensors = published.made(published.leres(blocks=(1, 1, 2, 1)))
    network = LeresDepth(tensors)
    network.load_state_dict(tensors)
    with torch.inference_mode():
        _is_said(BoostedDepth(network, merging(1))(WAVES), *MERGED["full"], off=1 / 255)


def test_a_patch_stays_within_its_picture() -> None:
    """As rows and columns of a picture that is smaller; halves go to the even number, as numpy rounds."""
    assert Patch(100, 60, 51).scaled(0.5) == (slice(30, 56), slice(50, 76))


def test_it_needs_both_files(tmp_path: Path) -> None:
    """The one that is missing is said, or is not what it is named for; with both there is a map."""
    folder, picture = tmp_path / "ControlNetPreprocessor", encode(Image.fromarray(PIXELS[:240, 200:380]))
    folder.mkdir()
    way, tensors = preprocessor("depth_leres++"), published.made(published.merging(16))
    save_file(published.made(published.leres(8, (1, 1, 2, 1))), folder / "res101.safetensors")
    with pytest.raises(Exception, match="this one needs latest_net_G"):
        detected_map(way, Store(tmp_path), picture, 96, -1, -1)
    inner = "model.model.1.model.3.model.1.weight"
    save_file(
        {name: one for name, one in tensors.items() if name != inner}, folder / "latest_net_G.safetensors"
    )
    with pytest.raises(FileError, match="not the network that it is named for"):
        detected_map(way, Store(tmp_path), picture, 96, -1, -1)
    save_file(tensors, folder / "latest_net_G.safetensors")
    found = np.asarray(detected_map(way, Store(tmp_path), picture, 96, -1, -1))
    assert found.shape == (128, 96, 3)
    assert found.std() > 2
