"""DWPose: what A1111's extension (its code as published, with ONNX Runtime and OpenCV 5.0) found with the
same random weights in the same picture, taken once; from an ONNX file to the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from easel.models import ONNX, Kind, Store, convert_onnx
from easel.studio.engine.control.distilled_pose import DistilledPose, PersonPoints, body
from easel.studio.engine.control.person_boxes import Box, PersonBoxes
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode
from tests.studio.engine.control import onnx_files
from tests.studio.engine.control.test_annotators import PICTURE, SEEN

PIXELS = SEEN / 255
BOX = (20.0, 10.0, 150.0, 120.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With both files, as `easel models convert` brings them in."""
    root = tmp_path_factory.mktemp("dwpose")
    onnx_files.people(root / "yolox_l.onnx", -0.9)
    onnx_files.points(root / "dw-ll_ucoco_384.onnx")
    found = Store(root / "models")
    for name in ("yolox_l", "dw-ll_ucoco_384"):
        done = convert_onnx(root / f"{name}.onnx", found)
        assert (done.file.kind, done.file.name) == (Kind.IMAGE_ENCODER, f"{name}.safetensors")
        assert load_file(done.file.path)[ONNX].numpy().tobytes() == (root / f"{name}.onnx").read_bytes()
    return found


@pytest.fixture(scope="module")
def points(store: Store) -> PersonPoints:
    return PersonPoints(tensors(store, "dw-ll_ucoco_384"))


def tensors(store: Store, name: str) -> dict[str, torch.Tensor]:
    return load_file(store.root / Kind.IMAGE_ENCODER.folder / f"{name}.safetensors")


def test_people_are_found(store: Store) -> None:
    """32 boxes, by 2 % of their size: the picture is made larger by other rounding than OpenCV's."""
    found = np.array(PersonBoxes(tensors(store, "yolox_l")).people(PIXELS))
    assert found.shape == (32, 4)
    for box in ((34.682, -293.767, 47.95, 445.158), (75.478, 72.469, 76.215, 82.485),
                (87.245, -188.757, 89.537, 304.949), (195.88, -7.996, 202.075, 62.671)):  # fmt: skip
        off = np.abs(found - box).max(axis=1).min()
        assert off < 0.02 * max(100, box[3] - box[1])


@pytest.mark.parametrize(("sure", "boxes"), [(-9.0, 0), (-4.0, 1)])
def test_nobody_is_found(tmp_path: Path, sure: float, boxes: int) -> None:
    """Nothing at all: nobody. Something that is no person: the whole picture is looked at, as there."""
    onnx_files.people(tmp_path / "few.onnx", sure)
    data = torch.from_numpy(np.frombuffer((tmp_path / "few.onnx").read_bytes(), np.uint8).copy())
    assert PersonBoxes({ONNX: data}).people(PIXELS) == [(0, 0, 192, 128)] * boxes


def test_points_of_a_person(points: PersonPoints) -> None:
    """All 133, and OpenPose's parts of them: the neck is between shoulders that are both sure."""
    found = points.points(PIXELS, BOX)
    wanted = {0: (79.358, 42.995, 0.27145), 5: (79.358, 101.957, 0.21845), 6: (51.428, 84.466, 0.43837),
              9: (59.327, 42.995, 0.10476), 40: (51.428, 35.095, 0.40206), 91: (79.358, 42.995, 0.96454),
              132: (66.38, 42.995, 0.16869)}  # fmt: skip
    for one, said in wanted.items():
        assert found[one].tolist() == pytest.approx(said, abs=2e-3)
    assert found[:, 2].mean() == pytest.approx(0.44488, abs=2e-4)
    parts = {2: (51.43, 84.47), 3: (51.43, 84.47), 4: (79.36, -35.72), 6: (123.37, 77.7), 8: (119.42, 59.92),
             10: (79.36, 84.47), 11: (79.36, 149.64), 12: (51.43, 84.47), 16: (51.43, 42.99),
             17: (44.94, 84.47)}  # fmt: skip
    assert {part: (round(one.x, 2), round(one.y, 2)) for part, one in body(found).items()} == parts
    found[5] = (30, 40, 0.9)
    neck = body(found)[1]
    assert (neck.x, neck.y) == pytest.approx(((30 + 51.428) / 2, (40 + 84.466) / 2), abs=1e-2)


class OnePerson(PersonBoxes):
    """Somebody in the whole picture."""

    def __init__(self) -> None:
        pass

    def people(self, pixels: torch.Tensor) -> list[Box]:
        return [(0, 0, pixels.shape[-1], pixels.shape[-2])]


class Someone(PersonPoints):
    """A body without a face and one hand, of whom the left eye is not sure."""

    def __init__(self) -> None:
        pass

    def points(self, pixels: torch.Tensor, box: Box) -> np.ndarray:
        found = np.zeros((133, 3))
        found[:17] = [(40 + 5 * one, 30 + 4 * one, 0.9) for one in range(17)]
        found[1, 2] = 0.29
        found[23:91] = (150, 100, 0.29)
        found[91:112] = [(10 + one, 110, 0.31) for one in range(21)]
        return found


def test_what_is_drawn() -> None:
    """Sticks, one hand with blue joints, no mark of a face that is nowhere sure."""
    found = DistilledPose(OnePerson(), Someone())(torch.zeros(1, 3, 128, 192)).numpy()
    assert tuple(found[110, 10]) == (0, 0, 255)
    assert tuple(found[30, 40]) == (255, 0, 0), "the nose"
    assert not (found == 255).all(axis=2).any()
    assert not found[90:, 140:].any()


def test_from_files_to_the_map(store: Store) -> None:
    """At any size, and only where there is something to see."""
    odd = encode(PICTURE.resize((101, 67)))
    found = np.asarray(detected_map(preprocessor("dw_openpose_full"), store, odd, 67, -1, -1))
    assert found.shape == (67, 101, 3)
    assert found.std() > 2


def test_a_file_of_something_else_is_said(store: Store, tmp_path: Path) -> None:
    """The two swapped, a plain safetensors file, and ONNX that is no ONNX: each in words, by its name."""
    folder = tmp_path / Kind.IMAGE_ENCODER.folder
    folder.mkdir()
    both = {"yolox_l": "dw-ll_ucoco_384", "dw-ll_ucoco_384": "yolox_l"}
    for one, other in both.items():
        save_file(tensors(store, other), folder / f"{one}.safetensors")
    black = encode(Image.new("RGB", (64, 64)))
    for wrong in (None, torch.zeros(40, dtype=torch.uint8)):
        if wrong is not None:
            save_file({ONNX: wrong}, folder / "yolox_l.safetensors")
        with pytest.raises(Exception, match=r"yolox_l.*not the network"):
            detected_map(preprocessor("dw_openpose_full"), Store(tmp_path), black, 64, -1, -1)


def test_the_command_takes_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`easel models convert yolox_l.onnx`, without a type."""
    from scripts.commands.convert import command

    monkeypatch.setenv("EASEL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("EASEL_HOME", str(tmp_path))
    onnx_files.points(tmp_path / "dw-ll_ucoco_384.onnx")
    said = CliRunner().invoke(command, [str(tmp_path / "dw-ll_ucoco_384.onnx")])
    assert said.exit_code == 0, said.output
    assert "ControlNetPreprocessor/dw-ll_ucoco_384.safetensors is in" in said.output
    assert "network namespaces" not in said.output
