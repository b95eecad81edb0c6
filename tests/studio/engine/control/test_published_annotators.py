"""Preprocessors by networks of published files: what controlnet_aux 0.0.10 (timm, OpenCV 5.0) made of the
same random weights and picture, taken once; and what is drawn of what networks find."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from easel.models import Store
from easel.studio.engine.control import whole_pose
from easel.studio.engine.control.ade_colours import ADE_COLOURS
from easel.studio.engine.control.body_pose import BodyPose, PartPeak
from easel.studio.engine.control.leres_depth import LeresDepth, without_ends
from easel.studio.engine.control.map_reading import as_scribble, in_steps
from easel.studio.engine.control.midas_depth import MidasDepth, as_nearness, as_normals
from easel.studio.engine.control.pose_parts import PartMaps, face_marks, hand_joints
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control.straight_lines import StraightLines, drawn_lines
from easel.studio.engine.control.surface_normals import SurfaceNormals
from easel.studio.engine.control.tensor_network import TensorNetwork
from easel.studio.engine.control.thin_edges import ThinEdges
from easel.studio.engine.control.whole_pose import WholePose, face_square, hand_squares
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode
from tests.studio.engine.control import annotator_weights as published
from tests.studio.engine.control.test_body_pose import HEIGHT, PERSON, WIDTH, maps

Y, X = np.mgrid[:128, :192]
WAVES = np.stack([np.sin(X / 9 + Y / 17), np.cos(Y / 7 - X / 31), np.sin((X + Y) / 23)], 2) * 120 + 127
PIXELS = torch.from_numpy(WAVES.astype(np.uint8)).permute(2, 0, 1)[None].float() / 255
PLACES = [(3, 5), (40, 60), (64, 96), (90, 20), (120, 180)]


def run(network: TensorNetwork, tensors: published.Tensors) -> torch.Tensor:
    """What it gives of `PIXELS`; looked at as when it is loaded."""
    network.load_state_dict(tensors)
    with torch.inference_mode():
        return network(PIXELS)


def test_straight_lines() -> None:
    """M-LSD in full size: its 86 lines. Pillow sets as many pixels for one as OpenCV, some of them beside."""
    tensors = published.made(published.mlsd())
    tensors["block23.conv3.weight"][8:12] *= 40  # the ends are further from the middle
    lines = drawn_lines(run(StraightLines(tensors), tensors), 0.1, 0.1).numpy()
    assert lines.shape == (128, 192)
    white = np.flatnonzero(lines)
    assert len(white) == pytest.approx(1712, abs=25)
    assert white.mean() == pytest.approx(20728739 / 1712, rel=0.005)
    found = run(StraightLines(tensors), tensors)
    assert not drawn_lines(found, 1.5, 0.1).any(), "none is as sure"
    assert not drawn_lines(found, 0.1, 500).any(), "none is as long"


def test_thin_edges() -> None:
    """TEED in full size."""
    tensors = published.made(published.teed())
    tensors["block_1.conv1.weight"] /= 100
    found = run(ThinEdges(tensors), tensors).numpy()
    assert [found[one] for one in PLACES] == pytest.approx(
        [0.47899, 0.48271, 0.4787, 0.48403, 0.48007], abs=2e-5
    )
    assert (found.mean(), found.std()) == pytest.approx((0.47899, 0.00298), abs=2e-5)
    assert set(np.unique(in_steps(torch.linspace(0, 0.999, 50), 2, 0))) == {0, 0.5, 1}
    assert len(np.unique(in_steps(torch.linspace(0, 0.999, 50), 0, 0))) == 50


@pytest.mark.slow
def test_surface_normals() -> None:
    """NormalBae in full size, 72 million numbers."""
    tensors = published.made(published.normal_bae())
    found = run(SurfaceNormals(tensors), tensors).clamp(0, 1).numpy()
    wanted = [[0.49639, 0.00646, 0.41997], [0.46191, 0.00367, 0.45305], [0.47228, 0.00461, 0.43819],
              [0.46871, 0.00311, 0.45398], [0.46621, 0.00323, 0.45443]]  # fmt: skip
    for one, said in zip(PLACES, wanted, strict=True):
        assert found[one].tolist() == pytest.approx(said, abs=2e-5)
    assert (found.mean(), found.std()) == pytest.approx((0.30754, 0.21515), abs=2e-5)


@pytest.mark.slow
def test_midas_depth() -> None:
    """MiDaS' hybrid in full size, 123 million numbers: nearness in bytes."""
    tensors = published.made(published.midas())
    for one in ("weight", "bias"):
        tensors[f"scratch.output_conv.4.{one}"].abs_()
    found = as_nearness(run(MidasDepth(tensors), tensors), 0, 0).numpy() * 255
    assert [found[one] for one in PLACES] == pytest.approx([90.95, 114.76, 171.38, 153.43, 137.18], abs=0.02)
    assert (found.mean(), found.std()) == pytest.approx((156.753, 35.138), abs=0.01)


@pytest.mark.slow
def test_leres_depth() -> None:
    """LeReS in full width, with fewer blocks: bytes, to the last one, of the extension's own code."""
    tensors = published.made(published.leres(blocks=(1, 1, 2, 1)))
    found = run(LeresDepth(tensors), tensors)
    said = {
        (0, 0): (141.902588, 35.42632),
        (30, 0): (151.919434, 52.715127),
        (25.5, 33.3): (143.706096, 51.824654),
    }
    for (near, background), (mean, spread) in said.items():
        seen = without_ends(found, near, background).numpy()
        assert (seen.mean(), seen.std()) == pytest.approx((mean, spread), abs=2e-3)
        assert seen[40, 60] == pytest.approx(170, abs=1)


def test_depth_without_its_ends() -> None:
    """ "Remove Near %" and "Remove Background %", to the byte as the extension's OpenCV does it."""
    y, x = np.mgrid[:40, :60]
    depth = torch.from_numpy(
        (20 * np.sin(x / 6.0) + 10 * np.cos(y / 5.0 + x / 20) + x / 2).astype(np.float32)
    )
    places = (0, 0), (10, 9), (20, 30), (33, 44)
    for numbers, total, some in (
        ((0, 0), 315799, [160, 135, 186, 82]),
        ((30, 0), 342030, [160, 135, 255, 82]),
        ((0, 40), 260245, [160, 135, 186, 0]),
        ((25.5, 33.3), 300267, [160, 135, 186, 0]),
    ):
        found = without_ends(depth, *numbers).numpy()
        assert (int(found.sum()), [int(found[one]) for one in places]) == (total, some)


@pytest.mark.slow
def test_segments(tmp_path: Path) -> None:
    """UniFormer and UPerNet, from the store, in two widths: the kinds that the extension's own code saw, but
    for 1 pixel in 100, at borders, where OpenCV's enlargement rounds otherwise."""
    for narrow, blocks, kinds, sizes in (
        (8, (1, 1, 2, 1), [111, 85, 85, 85, 85], {85: 11675, 143: 4845, 37: 3536}),
        (1, (3, 4, 8, 3), [62, 37, 62, 62, 62], {37: 12637, 62: 6936, 68: 2865}),
    ):
        folder = tmp_path / str(narrow) / "ControlNetPreprocessor"
        folder.mkdir(parents=True)
        tensors = published.made(published.uniformer(narrow, blocks))
        save_file(tensors, folder / "upernet_global_small.safetensors")
        picture = encode(Image.fromarray(WAVES.astype(np.uint8)))
        found = np.asarray(
            detected_map(preprocessor("seg_ufade20k"), Store(folder.parent), picture, 128, -1, -1)
        )
        assert [tuple(found[one]) for one in PLACES] == [tuple(ADE_COLOURS[one]) for one in kinds]
        for kind, size in sizes.items():
            assert abs(int((found == ADE_COLOURS[kind]).all(axis=2).sum()) - size) < 0.01 * found[..., 0].size


def test_normals_of_depth() -> None:
    """As MiDaS' detector computes them with OpenCV's Sobel, by one of 255."""
    y, x = np.mgrid[:40, :60]
    depth = (20 * np.sin(x / 6.0) + 10 * np.cos(y / 5.0 + x / 20) + x / 2).astype(np.float32)
    found = (as_normals(torch.from_numpy(depth), 0.4, 0) * 255).clamp(0, 255).to(torch.uint8).numpy()
    wanted = {
        (0, 0): [255, 127, 127],
        (10, 9): [192, 23, 162],
        (20, 30): [255, 127, 127],
        (33, 44): [170, 63, 229],
    }
    for place, colour in wanted.items():
        assert np.abs(found[place].astype(int) - colour).max() <= 1
    assert np.abs(found.sum((0, 1)).astype(int) - [483298, 297367, 311350]).max() < 40


def test_scribbles() -> None:
    """Crests as a thick brush draws them, but for 1 in 300 pixels as OpenCV draws them."""
    y, x = np.mgrid[:67, :91]
    soft = (127 + 120 * np.sin(x / 9.0) * np.cos(y / 7.0 + x / 30)).clip(0, 255).astype(np.uint8)
    found = as_scribble(soft)
    assert set(np.unique(found)) == {0, 255}
    assert abs(int((found > 0).sum()) - 4269) <= 14
    assert abs(int(np.flatnonzero(found).sum()) - 12999862) <= 40_000


def test_shuffle() -> None:
    """The same colours elsewhere, the same way each time."""
    picture = Image.fromarray(WAVES.astype(np.uint8))
    once, again = (preprocessor("shuffle").detect(picture, 128, -1, -1) for _ in range(2))
    assert (once == again).all()
    assert once.shape == (128, 192, 3)
    assert np.abs(once.astype(int) - WAVES.astype(int)).mean() > 20
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = (10, 200, 90)
    moved = preprocessor("shuffle").detect(Image.fromarray(halves), 64, -1, -1)
    assert {(0, 0, 0), (10, 200, 90)} <= set(map(tuple, moved.reshape(-1, 3).tolist()))
    assert moved.max(axis=(0, 1)).tolist() == [10, 200, 90]


def test_maps_of_parts() -> None:
    """Of hands and faces, stage by stage and by hand."""
    tensors = published.made(published.parts(22))
    seen = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1)) - 0.5

    def through(hidden: torch.Tensor, *names: str, last: str = "") -> torch.Tensor:
        for name in [*names, *([last] if last else [])]:
            weight = tensors[f"{name}.weight"]
            hidden = F.conv2d(hidden, weight, tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)
            hidden = hidden if name == last else hidden.relu()
        return hidden

    x = F.max_pool2d(through(seen, "conv1_1", "conv1_2"), 2)
    x = F.max_pool2d(through(x, "conv2_1", "conv2_2"), 2)
    x = F.max_pool2d(through(x, "conv3_1", "conv3_2", "conv3_3", "conv3_4"), 2)
    x = through(x, "conv4_1", "conv4_2", "conv4_3", "conv4_4", "conv5_1", "conv5_2", "conv5_3_CPM")
    said = through(x, "conv6_1_CPM", last="conv6_2_CPM")
    for stage in range(2, 7):
        names = [f"Mconv{one}_stage{stage}" for one in range(1, 7)]
        said = through(torch.cat([said, x], 1), *names, last=f"Mconv7_stage{stage}")
    network = PartMaps(tensors)
    network.load_state_dict(tensors)
    assert float((network(seen) - said).abs().max()) < 1e-5 * float(said.abs().max())


def person(scale: float) -> dict[int, PartPeak]:
    return {part: PartPeak(x * scale, y * scale, 1.0) for part, (x, y) in enumerate(PERSON.tolist())}


@pytest.mark.parametrize(
    ("scale", "hands", "face"),
    [
        (1.0, [(67, 88, 34), (18, 88, 34)], (45, 15, 30)),
        (3.1, [(208, 273, 107), (55, 273, 107)], (139, 46, 93)),
    ],
)
def test_where_hands_and_faces_are(scale: float, hands: list[object], face: object) -> None:
    """The squares that the extension cuts out of a picture, by the arms and the head."""
    width, height = int(256 * scale), int(192 * scale)
    assert hand_squares(person(scale), width, height) == hands
    assert face_square(person(scale), width, height) == face
    assert hand_squares({0: PartPeak(3, 3, 1)}, width, height) == []
    assert face_square({0: PartPeak(3, 3, 1)}, width, height) is None


class Spots(PartMaps):
    """Sure of each part at one place, as a share of the square; of none of those that are None."""

    def __init__(self, places: list[tuple[float, float] | None]) -> None:
        super().__init__({})
        self.places = places

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        side = pixels.shape[-1] // 8
        y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
        found = torch.zeros(1, len(self.places), side, side)
        for one, place in enumerate(self.places):
            if place is not None:
                found[0, one] = torch.exp(-((x / side - place[0]) ** 2 + (y / side - place[1]) ** 2) * 100)
        return found


def test_joints_and_marks_are_found() -> None:
    """Each within 2 % of where the maps are surest; None, or nothing, where they are not."""
    joints: list[tuple[float, float] | None] = [(0.2 + one / 40, 0.8 - one / 50) for one in range(21)]
    joints[7] = None
    found = hand_joints(Spots([*joints, (0.5, 0.5)]), torch.zeros(1, 3, 100, 100))
    assert len(found) == 21
    for one, place in zip(found, joints, strict=True):
        assert (one is None) == (place is None)
        assert one is None or place is None or np.abs(np.array(one) / 100 - place).max() < 0.02
    marks = face_marks(Spots([(0.3, 0.6), None, (0.7, 0.2)]), torch.zeros(1, 3, 80, 80))
    assert np.abs(np.array(marks) / 80 - [(0.3, 0.6), (0.7, 0.2)]).max() < 0.03


def test_hands_and_faces_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blue joints and fingers in colours of the rainbow, white marks, where they are; bodies too or not."""
    monkeypatch.setattr(BodyPose, "_maps", lambda network, pixels: maps([PERSON]))
    black, body = torch.zeros(1, 3, HEIGHT, WIDTH), BodyPose({})
    face = Spots([(0.5, 0.9)])
    alone = WholePose(body, face=face, bodies=False)(black).numpy()
    ys, xs = np.nonzero(alone.any(axis=2))
    assert {tuple(one) for one in alone[ys, xs].tolist()} == {(255, 255, 255)}
    assert abs(xs.mean() - (45 + 15)) < 2
    assert abs(ys.mean() - (15 + 27)) < 2
    # a hand that points to the right: its thumb ends right above the wrist
    hand: list[tuple[float, float] | None] = [(0.2, 0.5)] + [None] * 21
    hand[1] = (0.8, 0.5)
    monkeypatch.setattr(whole_pose, "_JOINT", (0, 0, 254))
    whole = WholePose(body, hands=Spots(hand))(black).numpy()
    first = tuple(int(255 * one) for one in colorsys.hsv_to_rgb(0, 1, 1))
    for x, y, side in ((67, 88, 34), (18, 88, 34)):
        assert tuple(whole[y + side // 2, x + side // 2]) == first
        assert (whole[y : y + side, x : x + side] == (0, 0, 254)).all(axis=2).any()
    assert (whole[45:60, 55:65] > 0).any(), "the body as well"


NARROW = {
    "mlsd": ("mlsd_large_512_fp32", published.mlsd(4)),
    "normal_bae": ("scannet", published.normal_bae(8)),
    "depth_midas": ("dpt_hybrid-midas-501f0c75", published.midas(6)),
    "normal_midas": ("dpt_hybrid_midas", published.midas(6)),
    "softedge_teed": ("7_model", published.teed()),
    "depth_leres": ("res101", published.leres(8, (1, 1, 2, 1))),
}


@pytest.mark.parametrize("module", NARROW)
def test_through_the_store(tmp_path: Path, module: str) -> None:
    """By the file's name, at any size: a map of what is in the picture."""
    name, layers = NARROW[module]
    tensors = published.made(layers)
    if "midas" in module:
        tensors["scratch.output_conv.4.weight"].abs_()
    folder = tmp_path / "ControlNetPreprocessor"
    folder.mkdir()
    save_file({key: one.contiguous() for key, one in tensors.items()}, folder / f"{name}.safetensors")
    picture = encode(Image.fromarray(WAVES.astype(np.uint8)).resize((101, 67)))
    found = np.asarray(detected_map(preprocessor(module), Store(tmp_path), picture, 67, -1, -1))
    assert found.shape == (67, 101, 3)
    assert found.std() > 2


def test_poses_need_each_of_their_files(tmp_path: Path) -> None:
    """The one that is missing is said; with all of them somebody may be found."""
    from tests.studio.engine.control.test_body_pose import weights

    folder = tmp_path / "ControlNetPreprocessor"
    folder.mkdir()
    black = encode(Image.new("RGB", (64, 64)))
    files = {"body_pose_model": weights(), "hand_pose_model": published.made(published.parts(22)),
             "facenet": published.made(published.parts(71))}  # fmt: skip
    for name, tensors in files.items():
        with pytest.raises(Exception, match=f"this one needs {name}"):
            detected_map(preprocessor("openpose_full"), Store(tmp_path), black, 64, -1, -1)
        save_file({key: one.contiguous() for key, one in tensors.items()}, folder / f"{name}.safetensors")
    for module in ("openpose_full", "openpose_hand", "openpose_face", "openpose_faceonly"):
        found = detected_map(preprocessor(module), Store(tmp_path), black, 64, -1, -1)
        assert found.size == (64, 64)
