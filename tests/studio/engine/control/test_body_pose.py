"""OpenPose: the network layer by layer, and people found in maps that say where they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from easel.models import Store
from easel.studio.engine.control.body_pose import BodyPose
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode

HEIGHT, WIDTH = 192, 256
# Nose, neck, right shoulder, elbow, wrist, left the same, right hip, knee, ankle, left the same, eyes, ears.
PERSON = np.array([
    (60, 30), (60, 50), (45, 52), (38, 75), (36, 98), (75, 52), (82, 75), (84, 98), (50, 100), (48, 130),
    (47, 160), (70, 100), (72, 130), (73, 160), (56, 25), (64, 25), (51, 28), (69, 28),
])  # fmt: skip
# As OpenPose's own table has them: pairs of parts from 1, and places in the maps behind 19 of parts.
PAIRS = [[2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12], [12, 13],
         [13, 14], [2, 1], [1, 15], [15, 17], [1, 16], [16, 18], [3, 17], [6, 18]]  # fmt: skip
PLACES = [31, 39, 33, 35, 41, 43, 19, 21, 23, 25, 27, 29, 47, 49, 53, 51, 55, 37, 45]


def weights() -> dict[str, torch.Tensor]:
    """Narrow, under the published names."""
    noise, found = torch.Generator().manual_seed(0), {}

    def layer(name: str, out: int, into: int, side: int) -> None:
        shape = out, into, side, side
        found[f"{name}.weight"] = torch.randn(shape, generator=noise) * 1.4 / (into * side * side) ** 0.5
        found[f"{name}.bias"] = torch.randn(out, generator=noise) * 0.1

    for block, count, out, into in ((1, 2, 4, 3), (2, 2, 4, 4), (3, 4, 4, 4), (4, 2, 6, 4)):
        for number in range(1, count + 1):
            layer(f"conv{block}_{number}", out, into if number == 1 else out, 3)
    layer("conv4_3_CPM", 6, 6, 3)
    layer("conv4_4_CPM", 4, 6, 3)
    for side, out in ((1, 38), (2, 19)):
        for number, size in (
            (1, (4, 4, 3)),
            (2, (4, 4, 3)),
            (3, (4, 4, 3)),
            (4, (8, 4, 1)),
            (5, (out, 8, 1)),
        ):
            layer(f"conv5_{number}_CPM_L{side}", *size)
        for stage in range(2, 7):
            layer(f"Mconv1_stage{stage}_L{side}", 4, 61, 7)
            for number in range(2, 6):
                layer(f"Mconv{number}_stage{stage}_L{side}", 4, 4, 7)
            layer(f"Mconv6_stage{stage}_L{side}", 4, 4, 1)
            layer(f"Mconv7_stage{stage}_L{side}", out, 4, 1)
    return found


@torch.inference_mode()
def test_the_network_is_the_published_one() -> None:
    """Its stages by hand, in double precision."""
    tensors = weights()
    seen = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1)).double() - 0.5

    def run(x: torch.Tensor, *names: str, bare: str = "") -> torch.Tensor:
        for name in names:
            weight, bias = tensors[f"{name}.weight"].double(), tensors[f"{name}.bias"].double()
            x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
            x = x if name == bare else x.relu()
        return x

    x = F.max_pool2d(run(seen, "conv1_1", "conv1_2"), 2, 2)
    x = F.max_pool2d(run(x, "conv2_1", "conv2_2"), 2, 2)
    x = F.max_pool2d(run(x, "conv3_1", "conv3_2", "conv3_3", "conv3_4"), 2, 2)
    trunk = run(x, "conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM")
    sides = [
        run(trunk, *(f"conv5_{one}_CPM_L{side}" for one in range(1, 6)), bare=f"conv5_5_CPM_L{side}")
        for side in (1, 2)
    ]
    for stage in range(2, 7):
        both = torch.cat([sides[0], sides[1], trunk], 1)
        sides = [
            run(both, *(f"Mconv{one}_stage{stage}_L{side}" for one in range(1, 8)),
                bare=f"Mconv7_stage{stage}_L{side}")
            for side in (1, 2)
        ]  # fmt: skip
    network = BodyPose(tensors)
    network.load_state_dict(tensors)
    ways, sure = network._through(seen.float())
    for ours, theirs in ((ways, sides[0]), (sure, sides[1])):
        assert float((ours - theirs).abs().max()) < 1e-4 * float(theirs.abs().max())


def maps(people: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Where parts are, softly, and which way limbs go, near them."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    sure, ways = np.zeros((18, HEIGHT, WIDTH)), np.zeros((38, HEIGHT, WIDTH))
    for person in people:
        for part, (px, py) in enumerate(person):
            sure[part] = np.maximum(sure[part], np.exp(-((x - px) ** 2 + (y - py) ** 2) / 40))
        for (first, second), place in zip(PAIRS, PLACES, strict=True):
            begin, end = person[first - 1].astype(float), person[second - 1].astype(float)
            way = (end - begin) / np.hypot(*(end - begin))
            along = (x - begin[0]) * way[0] + (y - begin[1]) * way[1]
            across = np.abs((x - begin[0]) * way[1] - (y - begin[1]) * way[0])
            near = (across < 4) & (along > -3) & (along < np.hypot(*(end - begin)) + 3)
            ways[place - 19][near], ways[place - 18][near] = way
    return sure, ways


def pose(monkeypatch: pytest.MonkeyPatch, people: list[np.ndarray]) -> np.ndarray:
    monkeypatch.setattr(BodyPose, "_maps", lambda network, pixels: maps(people))
    return BodyPose({})(torch.zeros(1, 3, HEIGHT, WIDTH)).numpy()


COLOURS = [(255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
           (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
           (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)]  # fmt: skip


def test_people_are_drawn_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two beside each other: each part in OpenPose's colour at its place, limbs between, none between the
    two."""
    other = PERSON + np.array([110, 10])
    found = pose(monkeypatch, [PERSON, other])
    assert found.shape == (HEIGHT, WIDTH, 3)
    for person in (PERSON, other):
        for (x, y), colour in zip(person, COLOURS, strict=True):
            assert tuple(found[y, x]) == colour
        elbow, wrist = person[3], person[4]
        x, y = (elbow + wrist) // 2
        assert tuple(found[y, x]) == tuple(int(one * 0.6) for one in COLOURS[3])  # the fourth limb's
    between = (PERSON[:, 0].max() + 10, other[:, 0].min() - 10)
    assert not found[:, between[0] : between[1]].any()


def test_few_parts_are_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than four that belong together are left out, and without anybody it is black."""
    assert not pose(monkeypatch, []).any()
    sure, ways = maps([PERSON])
    sure[[0, *range(5, 18)]] = 0  # neck, shoulder, elbow and wrist are left
    monkeypatch.setattr(BodyPose, "_maps", lambda network, pixels: (sure, ways))
    assert BodyPose({})(torch.zeros(1, 3, HEIGHT, WIDTH)).any()
    sure[4] = 0
    assert not BodyPose({})(torch.zeros(1, 3, HEIGHT, WIDTH)).any()


def test_through_a_file(tmp_path: Path) -> None:
    """`openpose` by the file of the store, at the size that is asked for."""
    folder = tmp_path / "ControlNetPreprocessor"
    folder.mkdir()
    save_file(weights(), folder / "body_pose_model.safetensors")
    picture = encode(Image.effect_noise((90, 66), 60).convert("RGB"))
    found = np.asarray(detected_map(preprocessor("openpose"), Store(tmp_path), picture, 66, -1, -1))
    assert found.shape == (66, 90, 3)
