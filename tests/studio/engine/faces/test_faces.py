"""Faces: found as facexlib finds them, cut out and laid back, restored by spandrel's networks in turns."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from easel.models import FileError, Kind, ModelFile, Store, convert_pickle
from easel.studio.engine import Engine, Enlargement, FaceRestoration, TextToImage
from easel.studio.engine.faces.face_detector import RetinaFace, find_faces, load_face_detector
from easel.studio.engine.faces.face_files import FaceFiles, find_face_files
from easel.studio.engine.faces.face_models import FaceModels
from easel.studio.engine.imaging.face_alignment import SIDE, TEMPLATE, alignment, cut_face, with_face
from easel.studio.png import encode
from tests.studio import faces
from tests.studio.engine.conftest import STARTER
from tests.studio.upscalers import write

CPU, WAIT = torch.device("cpu"), 180
SQUARE = 320
# The template of a face at half its size, in the upper left part of a picture of 640 pixels.
THERE = tuple((float(x), float(y)) for x, y in TEMPLATE / 2 + 40)
ASKED = TextToImage(prompt="a red circle", width=64, height=64, steps=2, seed=7)


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


# What facexlib 0.3 finds with `weights()` in `noise((640, 704))`: of each face the left eye and the right
# corner of the mouth.
FACEXLIB = [
    [[147.88, 58.32], [135.35, 81.24]], [[568.29, 182.27], [545.1, 209.99]],
    [[475.44, 346.49], [438.85, 364.11]],
]  # fmt: skip


def weights() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RetinaFace()
        for one in network.modules():
            if isinstance(one, torch.nn.BatchNorm2d):
                one.running_mean.normal_(0, 0.1)
                one.running_var.uniform_(0.5, 1.5)
        for heads in (network.ClassHead, network.BboxHead, network.LandmarkHead):
            for one in heads.parameters():
                one.data *= 0.0018
    return dict(network.state_dict())


def test_a_face_is_cut_out_and_laid_back() -> None:
    """Landmarks come to the template's places, turned and sized; laid back it changes its place only."""
    turn = np.deg2rad(30)
    matrix = 0.4 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = TEMPLATE @ matrix.T + np.array([200, 60])
    found = alignment(landmarks)
    assert np.allclose(landmarks @ found[:, :2].T + found[:, 2], TEMPLATE, atol=1e-6)
    picture = noise((500, 400))
    face = cut_face(picture, found)
    assert face.size == (SIDE, SIDE)
    again = with_face(picture, face, found)
    assert float(np.abs(np.asarray(again, int) - np.asarray(picture, int)).mean()) < 1.5
    white = np.asarray(with_face(picture, Image.new("RGB", face.size, "white"), found), int)
    middle = np.asarray(landmarks.mean(axis=0), int)
    assert white[middle[1], middle[0]].min() >= 254
    assert (white[:20, :20] == np.asarray(picture)[:20, :20]).all()
    half = np.asarray(with_face(picture, Image.new("RGB", face.size, "white"), found, 0.5), int)
    assert np.abs(half[middle[1], middle[0]] * 2 - white[middle[1], middle[0]]
                  - np.asarray(picture, int)[middle[1], middle[0]]).max() <= 3  # fmt: skip


@pytest.mark.slow
def test_faces_are_found_where_the_network_says() -> None:
    """At any size of picture, in its own pixels; none where there is none."""
    network = load_face_detector(faces.detector(THERE))
    for size, factor in (((640, 700), 1.0), ((1280, 1300), 2.0), ((320, 330), 0.5)):
        (found,) = find_faces(network, Image.new("RGB", size))
        assert np.abs(found - np.array(THERE) * factor).max() < 1
    assert find_faces(load_face_detector(faces.detector()), Image.new("RGB", (640, 640))) == []


def test_faces_are_those_that_facexlib_finds() -> None:
    """The same weights, the same picture: the landmarks that A1111's own detector gives."""
    found = find_faces(load_face_detector(weights()), noise((640, 704)))
    assert np.abs(np.array([one[[0, 4]] for one in found]) - np.array(FACEXLIB)).max() < 0.5


def stored(root: Path, name: str, tensors: faces.Tensors) -> ModelFile:
    write(root / "GFPGAN" / f"{name}.safetensors", tensors)
    return Store(root, hashing=False).find(Kind.FACE_RESTORER, name)


@pytest.mark.slow
def test_gfpgan_is_the_networks_own_picture(tmp_path: Path) -> None:
    """GFPGAN sees a face from -1 to 1, as A1111 shows it, with the noise of its file: the same each time."""
    file = stored(tmp_path, "GFPGANv1.4", faces.gfpgan())
    detector = stored(tmp_path, "detection_Resnet50_Final", faces.detector(THERE))
    loaded = FaceModels(CPU).get(FaceFiles("GFPGAN", file, detector))
    assert loaded is not None
    face = torch.rand((1, 3, SIDE, SIDE))
    with torch.inference_mode():
        network = loaded.restorer.model
        theirs = network(face * 2 - 1, return_rgb=False, randomize_noise=False)[0] / 2 + 0.5
        ours = loaded.restored(face)
    assert torch.equal(ours, theirs.clamp(0, 1))
    assert torch.equal(ours, loaded.restored(face))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    stored(root, "RestoreFormer", faces.restoreformer())
    stored(root, "detection_Resnet50_Final", faces.detector(THERE))
    return root


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Engine]:
    running = Engine(Store(home), default_checkpoint=STARTER.name)
    running.start()
    yield running
    running.stop()


def enlargement(image: Image.Image, **said: object) -> TextToImage:
    return TextToImage(
        enlargement=Enlargement(image=encode(image), width=image.width, height=image.height, **said)  # type: ignore[arg-type]
    )


def test_a_picture_whose_faces_are_restored(engine: Engine) -> None:
    """The face of a drawn picture is another one, the rest is as it was drawn."""
    (plain,) = engine.submit("ada", ASKED).result(WAIT)
    (drawn,) = engine.submit("ada", replace(ASKED, faces=FaceRestoration(model="RestoreFormer"))).result(WAIT)
    before, after = (np.asarray(one.image, int) for one in (plain, drawn))
    assert (before[-10:, -10:] == after[-10:, -10:]).all()
    assert np.abs(before[10:20, 10:20] - after[10:20, 10:20]).max() > 8
    assert drawn.request.faces == FaceRestoration(model="RestoreFormer")
    (other,) = engine.submit("ada", replace(ASKED, faces=FaceRestoration(model="CodeFormer"))).result(WAIT)
    assert (np.asarray(other.image, int) == after).all()
    assert any("by RestoreFormer and not by CodeFormer" in words for words in other.notes)
    assert other.request.faces == FaceRestoration(model="RestoreFormer")


@pytest.mark.slow
def test_faces_alone_and_behind_an_upscaler(engine: Engine) -> None:
    """What A1111's extras ask for: without an upscaler the size stays; visibility lays one over the other."""
    picture = noise((SQUARE, SQUARE + 20))
    restored = FaceRestoration(model="RestoreFormer")
    images = []
    for asked in (restored, replace(restored, visibility=0.5)):
        (found,) = engine.submit("ada", enlargement(picture, upscaler="None", faces=asked)).result(WAIT)
        assert found.image.size == picture.size
        images.append(np.asarray(found.image, int))
    whole, half = images
    before = np.asarray(picture, int)
    place = np.s_[90:110, 80:100]
    assert np.abs(whole[place] - before[place]).max() > 8
    assert np.abs((whole[place] + before[place]) / 2 - half[place]).max() <= 2
    (large,) = engine.submit("ada", enlargement(picture, upscaler="Lanczos", faces=restored)).result(WAIT)
    assert large.image.size == (2 * SQUARE, 2 * SQUARE + 40)


@pytest.mark.slow
def test_others_draw_meanwhile_and_it_can_be_ended(engine: Engine) -> None:
    """A device call of its own: looking for faces, and each face, is one turn among other people's."""
    picture = noise((SQUARE, SQUARE))
    faces_of = enlargement(picture, upscaler="None", faces=FaceRestoration(model="RestoreFormer"))
    jobs = [engine.submit("ada", faces_of) for _ in range(3)]
    other = engine.submit("bob", ASKED)
    ended = threading.Event()
    other.future.add_done_callback(lambda _: ended.set())
    assert ended.wait(WAIT)
    assert sum(job.future.done() for job in jobs) < 3
    jobs[-1].cancel()
    assert jobs[-1].result(WAIT) == []
    assert all(len(job.result(WAIT)) == 1 for job in jobs[:-1])


def test_what_is_not_there_is_told(home: Path, tmp_path: Path) -> None:
    """Without a restorer, without what finds faces: drawn, and told which file to add."""
    (tmp_path / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, tmp_path / "Stable-diffusion")
    running = Engine(Store(tmp_path), default_checkpoint=STARTER.name)
    running.start()
    try:
        asked = replace(ASKED, faces=FaceRestoration())
        (drawn,) = running.submit("ada", asked).result(WAIT)
        assert drawn.request.faces is None
        assert any("GFPGANv1.4" in words for words in drawn.notes)
        stored(tmp_path, "RestoreFormer", faces.restoreformer())
        running.store.refresh()
        (drawn,) = running.submit("ada", asked).result(WAIT)
        assert any("detection_Resnet50_Final" in words for words in drawn.notes)
    finally:
        running.stop()


@pytest.mark.parametrize("name", ["RestoreFormer", "detection_Resnet50_Final"])
def test_half_a_file_is_named(tmp_path: Path, name: str) -> None:
    """Of a file that is not whole, before anything is drawn: an error that ends one job."""
    whole = {"RestoreFormer": faces.restoreformer(), "detection_Resnet50_Final": faces.detector(THERE)}
    files = {}
    for one, tensors in whole.items():
        half = {key: value for key, value in tensors.items() if "conv2" not in key}
        files[one] = stored(tmp_path, one, half if one == name else tensors)
    with pytest.raises(FileError, match=f"{name}.*cannot be loaded"):
        FaceModels(CPU).get(FaceFiles("x", files["RestoreFormer"], files["detection_Resnet50_Final"]))


def test_models_leave_for_who_needs_the_room(home: Path) -> None:
    """What is kept is forgotten at once where a checkpoint asks."""
    store = Store(home, hashing=False)
    found, _ = find_face_files(store, FaceRestoration())
    models = FaceModels(CPU)
    assert models.get(None) is None
    first = models.get(found)
    assert models.get(found) == first
    assert models.clear()
    assert not models.clear()


def test_the_published_pickle_comes_in_by_the_safe_conversion(tmp_path: Path) -> None:
    """facexlib's detector is a .pth: converted it lies among the face restorers."""
    torch.save(faces.detector(THERE), tmp_path / "detection_Resnet50_Final.pth")
    (tmp_path / "models").mkdir()
    done = convert_pickle(tmp_path / "detection_Resnet50_Final.pth", Store(tmp_path / "models"))
    assert done.file.path.parent.name == "GFPGAN"
