"""InsightFace's two networks: what its own code found by the same made-up ONNX files in the same picture,
with OpenCV and scikit-image, taken once (`MADE`); from ONNX files to the map of a face's points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from easel.models import ONNX, FileError, Kind, Store, convert_onnx
from easel.studio.engine.control.face_identity import FaceIdentity, cut_out
from easel.studio.engine.control.face_map import drawn_points
from easel.studio.engine.control.face_points import FacePoints, largest
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.engine.errors import InvalidRequest, NoFace
from easel.studio.png import encode
from tests.studio.engine.control import onnx_files

NAMES = ("det_10g", "w600k_r50", "scrfd_10g_bnkps", "glintr100")


def picture(size: tuple[int, int], *faces: tuple[int, int, int]) -> Image.Image:
    """Red discs (x, y, radius), brightest in the middle, on dim noise."""
    noise = np.random.default_rng(5).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for x, y, radius in faces:
        for size in (1.0, 0.6, 0.3):
            side, red = int(radius * size), int(250 - 90 * size)
            ImageDraw.Draw(image).ellipse((x - side, y - side, x + side, y + side), fill=(red, 40, 30))
    return image


ONE = picture((200, 160), (90, 70, 40))
TWO = picture((640, 160), (90, 80, 60), (560, 80, 40))
NOBODY = picture((120, 90))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With the networks of both packs, as `easel models convert` brings them in."""
    root = tmp_path_factory.mktemp("insightface")
    found = Store(root / "models")
    for name in NAMES:
        made = root / f"{name}.onnx"
        if name in ("det_10g", "scrfd_10g_bnkps"):
            onnx_files.faces(made)
        else:
            onnx_files.identity(made, seed=NAMES.index(name))
        done = convert_onnx(made, found)
        assert (done.file.kind, done.file.name) == (Kind.IMAGE_ENCODER, f"{name}.safetensors")
    return found


def tensors(store: Store, name: str) -> dict[str, torch.Tensor]:
    return load_file(store.root / Kind.IMAGE_ENCODER.folder / f"{name}.safetensors")


def shown(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def points(store: Store) -> FacePoints:
    return FacePoints(tensors(store, "det_10g"))


# Box and points of each face by InsightFace, the surest first; then the numbers of the largest one's.
MADE: dict[str, list[list[float]]] = {
    "one": [
        [-29.56, -51.11, 210.68, 190.34, 46.22, 33.47, 134.17, 33.71, 89.27, 77.77, 53.33, 122.72, 126.46,
         121.78],
    ],
    "numbers": [
        [1.0088, -2.0168, -0.2809, -1.8602, 0.0751, -1.1259, 2.2669, 0.4929, -0.379, -1.6694, 1.6794, 0.5045,
         -0.7341, -0.3859, -0.4467, 0.9655, -0.5124, -2.1287, 1.0897, -0.2608, 1.1521, -0.1635, -0.3831,
         -0.0578, 1.1822, -0.7443, -0.5286, 0.6523, 0.7987, 1.0984, 0.5419, 0.5921],
    ],
    "two": [
        [-318.89, -323.49, 450.24, 449.35, -75.83, -52.66, 205.17, -52.21, 61.89, 88.77, -53.1, 233.13,
         180.52, 229.5],
        [161.11, -323.33, 930.1, 449.28, 404.12, -52.92, 685.37, -52.03, 541.86, 88.85, 426.89, 232.85,
         660.76, 229.5],
    ],
    "colours": [
        [0, 0, 0, 28274],
        [0, 0, 255, 317],
        [0, 153, 0, 238],
        [0, 255, 0, 317],
        [153, 0, 0, 251],
        [153, 0, 153, 159],
        [153, 153, 0, 213],
        [255, 0, 0, 317],
        [255, 0, 255, 317],
        [255, 255, 0, 317],
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "image"), [("one", ONE), ("two", TWO)])
def test_faces_are_found(points: FacePoints, name: str, image: Image.Image) -> None:
    """Boxes and points by a tenth of a pixel: the picture is made larger by other rounding than OpenCV's."""
    found = points.faces(shown(image))
    assert len(found) == len(MADE[name])
    for face, said in zip(found, MADE[name], strict=True):
        assert [*face.box, *face.points.ravel()] == pytest.approx(said, abs=0.1)


def test_nobody_is_found(points: FacePoints) -> None:
    """In a picture of nothing red, of any shape."""
    for size in ((120, 90), (4, 300), (1, 1)):
        assert points.faces(shown(NOBODY.resize(size))) == []
    assert largest([]) is None


def test_whose_face_it_is(store: Store, points: FacePoints, tmp_path: Path) -> None:
    """The numbers of a face, by 1 in 500 of their length; of a file as MXNet exports them the same."""
    face = largest(points.faces(shown(ONE)))
    assert face is not None
    numbers = FaceIdentity(tensors(store, "w600k_r50")).vector(shown(ONE), face.points)
    (said,) = MADE["numbers"]
    assert np.linalg.norm(numbers[: len(said)] - said) < 0.002 * np.linalg.norm(said)
    onnx_files.identity(tmp_path / "mxnet.onnx", seed=1, by_itself=True)
    data = torch.from_numpy(np.frombuffer((tmp_path / "mxnet.onnx").read_bytes(), np.uint8).copy())
    assert FaceIdentity({ONNX: data}).vector(shown(ONE), face.points) == pytest.approx(numbers, abs=1e-4)


def test_a_face_is_cut_out_where_its_points_are() -> None:
    """Turned and sized: each point comes to its place in the template, and what is beside the picture is
    black."""
    image = Image.new("RGB", (200, 200), "blue")
    places = np.array([(120, 60), (124, 110), (98, 82), (70, 64), (74, 106)], float)
    for x, y in places:
        ImageDraw.Draw(image).rectangle((x - 3, y - 3, x + 3, y + 3), fill="white")
    cut = cut_out(shown(image), places)[0]
    assert cut.shape == (3, 112, 112)
    for x, y in ((38, 52), (74, 52), (56, 72), (42, 92), (71, 92)):
        assert cut[0, y - 3 : y + 4, x - 3 : x + 4].max() > 200
    beside = cut_out(shown(image), places + 150)[0]
    assert beside[2].min() == 0


def test_what_is_drawn() -> None:
    """The pixels of each colour are as many as OpenCV's; sticks are darker and under the circles."""
    five = np.array([[60.4, 50.2], [120.7, 44.9], [95.2, 84.6], [70.1, 120.3], [115.8, 116.5]])
    found = drawn_points(five, 192, 160).reshape(-1, 3)
    for *colour, count in MADE["colours"]:
        assert (found == colour).all(axis=1).sum() == count
    assert {tuple(one) for one in np.unique(found, axis=0).tolist()} == {
        tuple(map(int, one[:3])) for one in MADE["colours"]
    }


def test_from_files_to_the_map(store: Store) -> None:
    """At the resolution that is asked for, as large as the picture; without a face it is said."""
    way = preprocessor("instant_id_face_keypoints")
    found = np.asarray(detected_map(way, store, encode(ONE), 256, -1, -1))
    assert found.shape == (256, 320, 3)
    assert (found == (0, 0, 255)).all(axis=2).sum() > 200, "the nose"
    with pytest.raises(NoFace, match="leave some room"):
        detected_map(way, store, encode(NOBODY), -1, -1, -1)
    with pytest.raises(InvalidRequest, match=r"scrfd_10g_bnkps.*antelopev2.*non-commercial"):
        detected_map(way, Store(store.root / "none"), encode(ONE), -1, -1, -1)


def test_a_file_of_something_else_is_said(store: Store, tmp_path: Path) -> None:
    """Each in the other's place, and DWPose's: in words, by its name."""
    onnx_files.points(tmp_path / "points.onnx")
    data = np.frombuffer((tmp_path / "points.onnx").read_bytes(), np.uint8).copy()
    for other in (tensors(store, "w600k_r50"), {ONNX: torch.from_numpy(data)}):
        folder = tmp_path / Kind.IMAGE_ENCODER.folder
        folder.mkdir(exist_ok=True)
        save_file(other, folder / "det_10g.safetensors")
        with pytest.raises(FileError, match=r"det_10g.*not the network"):
            detected_map(preprocessor("instant_id_face_keypoints"), Store(tmp_path), encode(ONE), 64, -1, -1)
    for wrong in (tensors(store, "det_10g"), {ONNX: torch.from_numpy(data)}):
        with pytest.raises(ValueError, match="it gives"):
            FaceIdentity(wrong).load_state_dict(wrong)
