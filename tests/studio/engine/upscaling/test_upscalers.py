"""Upscalers of the store: spandrel's networks tile by tile, in turns with everybody's drawing."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel.models import FileError, Kind, ModelFile, Store, convert_pickle
from easel.studio.engine import (
    Engine,
    Enlargement,
    HiresFix,
    ImageToImage,
    InvalidRequest,
    JobState,
    Limits,
    Mask,
    ResizeMode,
    TextToImage,
    TooMuchWork,
    find_upscaler,
    upscalers,
)
from easel.studio.engine.upscaling.enlargement import UpscalerTiles, tiles_of
from easel.studio.engine.upscaling.upscale_runs import LARGEST, TILES, UpscaleRun
from easel.studio.engine.upscaling.upscaler_models import UpscalerModels
from tests.studio import upscalers as tiny
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.tiny import model_file

CPU = torch.device("cpu")
MAKERS: list[Callable[[], tiny.Tensors]] = [tiny.rrdb, tiny.compact, tiny.swinir, tiny.dat]


def picture(width: int, height: int) -> Image.Image:
    """Slopes, edges and some noise."""
    down, across = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(3).integers(0, 40, (height, width, 3))
    plain = np.stack([across * 200 // width, down * 200 // height, (across // 16 + down // 16) % 2 * 180], 2)
    return Image.fromarray((plain + noise).clip(0, 255).astype(np.uint8))


def file_of(folder: Path, make: Callable[[], tiny.Tensors], name: str = "4x-tiny") -> ModelFile:
    torch.manual_seed(5)
    return model_file(tiny.write(folder / f"{name}.safetensors", make()), Kind.UPSCALER)


def whole(run: UpscaleRun) -> Image.Image:
    while (found := run.go_on()) is None:
        pass
    return found


@pytest.mark.parametrize("make", MAKERS)
def test_one_tile_is_spandrels_own_call(tmp_path: Path, make: Callable[[], tiny.Tensors]) -> None:
    """Bit for bit what the network gives for RGB in 0 to 1, rounded."""
    import spandrel

    file = file_of(tmp_path, make)
    image = picture(60, 48)
    theirs = spandrel.ModelLoader().load_from_file(file.path).eval()
    with torch.inference_mode():
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        wanted = (theirs(pixels)[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    ours = np.asarray(whole(UpscaleRun(image, UpscalerModels(CPU).get(file))))
    assert ours.shape == (48 * theirs.scale, 60 * theirs.scale, 3)
    assert np.array_equal(ours, wanted)


@pytest.mark.parametrize("make", [tiny.rrdb, tiny.compact])
def test_tiles_are_the_whole_picture(tmp_path: Path, make: Callable[[], tiny.Tensors]) -> None:
    """Beside the seams as if there were none; in them each pixel between the two tiles that meet there."""
    model = UpscalerModels(CPU).get(file_of(tmp_path, make))
    tile = TILES["cpu"]
    image = picture(tile + 40, 50)
    run = UpscaleRun(image, model)
    tiled = np.asarray(whole(run), np.int16)
    with torch.inference_mode():
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        single = (model(pixels)[0].permute(1, 2, 0) * 255).round().numpy().astype(np.int16)
    off = np.abs(tiled - single).max(axis=(0, 2)).reshape(-1, model.scale).max(axis=1)
    # Two tiles: the second begins at 40, and is shown from there on, faded in over the first.
    beside = np.delete(off, np.r_[40 : 40 + 3 * UpscalerTiles().overlap])
    assert single.std() > 10
    assert beside.max() <= 1
    assert np.abs(tiled - single).mean() < 0.5


def test_tiles_are_of_the_size_that_is_asked_for(tmp_path: Path) -> None:
    """Smaller ones as they are asked for; a larger one than the device gives is cut to that, and told."""
    model = UpscalerModels(CPU).get(file_of(tmp_path, tiny.rrdb))
    image = picture(LARGEST["cpu"] + 40, 32)
    small = UpscaleRun(image, model, UpscalerTiles(32, 4))
    assert (small.cost < UpscaleRun(image, model).cost, small.note) == (True, "")
    assert whole(small).size == (image.width * model.scale, image.height * model.scale)
    large = UpscaleRun(image, model, UpscalerTiles(512, 8))
    assert large.cost == UpscaleRun(image, model, UpscalerTiles(0, 8)).cost
    assert f"{LARGEST['cpu']} pixels and not of 512" in large.note
    assert UpscaleRun(picture(64, 64), model, UpscalerTiles(0, 8)).note == ""


def test_networks_have_tiles_of_their_own() -> None:
    """A1111's SWIN_tile, DAT_tile and SCUNET_tile for theirs, ESRGAN_tile for all others."""
    asked = [UpscalerTiles(number, 4, f"{name}_tile")
             for number, name in enumerate(("ESRGAN", "SWIN", "DAT", "SCUNET"), 40)]  # fmt: skip
    wanted = {"ESRGAN": 40, "HAT": 40, "SwinIR": 41, "Swin2SR": 41, "DAT": 42, "SCUNet": 43}
    assert {name: tiles_of(asked, name).side for name in wanted} == wanted
    assert tiles_of((), "DAT") == UpscalerTiles(option="DAT_tile")


def test_a_published_pickle_comes_in_by_conversion(tmp_path: Path) -> None:
    """As Real-ESRGAN publishes them: a .pth with the weights below `params_ema`. spandrel never opens it."""
    torch.manual_seed(5)
    source = tmp_path / "realesr-animevideov3.pth"
    torch.save({"params_ema": tiny.compact(scale=4)}, source)
    store = Store(tmp_path / "models", hashing=False)
    done = convert_pickle(source, store)
    assert done.file.kind is Kind.UPSCALER
    assert find_upscaler(store, "upscaler_1", "R-ESRGAN AnimeVideo").file == done.file
    assert UpscalerModels(CPU).get(done.file).scale == 4


def test_what_is_transparent_stays_so(tmp_path: Path) -> None:
    """An upscaler knows three channels; the fourth is enlarged beside it."""
    image = picture(40, 40).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((40, 40)))
    found = whole(UpscaleRun(image, UpscalerModels(CPU).get(file_of(tmp_path, tiny.compact))))
    assert found.mode == "RGBA"
    alpha = image.getchannel("A").resize((80, 80), Image.Resampling.LANCZOS)
    assert found.getchannel("A").tobytes() == alpha.tobytes()


class Narrow:
    """A stand-in for a network on a device with room for tiles of `room` pixels a side."""

    scale, dtype, device, model = 2, torch.float32, CPU, torch.nn.Identity()

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        if max(pixels.shape[-2:]) > self.room:
            raise torch.OutOfMemoryError("no room")
        return pixels.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_without_room_tiles_become_smaller() -> None:
    """All begins again with half the side, 32 pixels at least; then it is the job's end."""
    image = picture(300, 200)
    doubled = image.resize((600, 400), Image.Resampling.NEAREST)
    off = np.asarray(whole(UpscaleRun(image, Narrow(40))), np.int16) - np.asarray(doubled, np.int16)
    assert np.abs(off).max() <= 1  # a fade of two equal pixels rounds
    with pytest.raises(torch.OutOfMemoryError):
        whole(UpscaleRun(image, Narrow(20)))


def test_half_precision_that_overflows_is_done_again() -> None:
    """In single precision, and from then on."""

    class Overflowing(Narrow):
        dtype = torch.float16

        def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
            found = super().__call__(pixels)
            return found * torch.inf if self.dtype == torch.float16 else found

        def float(self) -> None:
            self.dtype = torch.float32

    image = picture(30, 30)
    found = whole(UpscaleRun(image, Overflowing(64)))
    assert found.tobytes() == image.resize((60, 60), Image.Resampling.NEAREST).tobytes()


def test_what_is_no_upscaler_is_told(tmp_path: Path) -> None:
    """Another model, a damaged one, and a network for something else, each in words."""
    models = UpscalerModels(CPU)
    lora = tiny.write(tmp_path / "lora.safetensors", {"lora_unet_x.lora_down.weight": torch.zeros(4, 8)})
    with pytest.raises(FileError, match="no architecture that spandrel knows"):
        models.get(model_file(lora, Kind.UPSCALER))
    torn = tiny.rrdb()
    del torn["body.0.rdb1.conv2.weight"]
    with pytest.raises(FileError, match="cannot be loaded"):
        models.get(model_file(tiny.write(tmp_path / "torn.safetensors", torn), Kind.UPSCALER))
    text = tmp_path / "text.safetensors"
    text.write_text("<html>")
    with pytest.raises(FileError):
        models.get(model_file(text, Kind.UPSCALER))


def test_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes, the one used last at least."""
    files = [file_of(tmp_path, tiny.compact, name) for name in ("one", "two", "three")]
    models = UpscalerModels(CPU)
    first = models.get(files[0])
    size = sum(one.numel() * 4 for one in first.model.parameters())
    monkeypatch.setattr("easel.studio.engine.upscaling.upscaler_models.KEPT_BYTES", 2 * size)
    models.get(files[1])
    assert models.get(files[0]) is first
    second = models.get(files[1])
    models.get(files[2])
    assert models.get(files[1]) is second
    assert models.get(files[0]) is not first
    assert models.clear()
    assert not models.clear()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The starter and upscalers, one of them broken."""
    root = tmp_path_factory.mktemp("upscaling")
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    folder = root / Kind.UPSCALER.folder
    torch.manual_seed(5)
    tiny.write(folder / "4x-tiny.safetensors", tiny.rrdb())
    tiny.write(folder / "anime" / "RealESRGAN_x2plus.safetensors", tiny.compact())
    tiny.write(root / "SwinIR" / "swin-2x.safetensors", tiny.compact())
    tiny.write(folder / "broken.safetensors", {"conv_first.weight": torch.zeros(8, 3, 3, 3)})
    return Store(root, hashing=False)


@pytest.fixture(scope="module")
def engine(store: Store) -> Any:
    engine = Engine(store, default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


def enlargement(image: Image.Image, upscaler: str = "4x-tiny", **fields: Any) -> TextToImage:
    file = io.BytesIO()
    image.save(file, "PNG")
    return TextToImage(enlargement=Enlargement(
        image=file.getvalue(), width=image.width, height=image.height, upscaler=upscaler, **fields,
    ))  # fmt: skip


def test_names(store: Store) -> None:
    """A1111's own three, then files, of its other folders too: by A1111's name where it has one, found by the
    file's too."""
    found = upscalers(store)
    assert [one.name for one in found] == [
        "None", "Lanczos", "Nearest", "4x-tiny", "R-ESRGAN 2x+", "broken", "SwinIR_swin-2x",
    ]  # fmt: skip
    assert [one.scale for one in found] == [4, 4, 4, 4, 2, 4, 2]
    assert find_upscaler(store, "upscaler_1", "swin-2x").file.below_store == "SwinIR/swin-2x.safetensors"
    assert find_upscaler(store, "upscaler_1", "realesrgan_x2plus").name == "R-ESRGAN 2x+"
    assert find_upscaler(store, "upscaler_1", "4x-Tiny").name == "4x-tiny"
    with pytest.raises(InvalidRequest, match=r"hr_upscaler is 'x9'; allowed: Latent.*4x-tiny.*models/ESRGAN"):
        find_upscaler(store, "hr_upscaler", "x9")


def test_an_enlargement_is_a_job(engine: Engine) -> None:
    """A model's passes and Lanczos to the size that is asked for; two upscalers blended; a cover cropped."""
    image = picture(50, 40)
    (made,) = engine.submit("ada", enlargement(image, factor=2)).result(60)
    assert made.image.size == (96, 80)
    (plain,) = engine.submit("ada", enlargement(image, "Nearest", factor=2)).result(60)
    assert plain.checkpoint is None
    both = enlargement(image, factor=2, second_upscaler="Nearest", second_share=0.25)
    (blended,) = engine.submit("ada", both).result(60)
    assert blended.image.tobytes() == Image.blend(made.image, plain.image, 0.25).tobytes()
    (cut,) = engine.submit("ada", enlargement(image, "Lanczos", cover=(64, 64))).result(60)
    assert cut.image.size == (64, 64)


def test_hires_fix_by_a_model(engine: Engine) -> None:
    """The first pass goes through the upscaler of the store, not through Lanczos."""
    fields = {"prompt": "a red circle", "steps": 2, "width": 64, "height": 64, "seed": 3}
    drawn = [
        engine.submit("ada", TextToImage(**fields, hires=HiresFix(upscaler=name, steps=2))).result(60)[0]
        for name in ("4x-tiny", "Lanczos", "4x-tiny")
    ]
    assert [one.image.size for one in drawn] == [(128, 128)] * 3
    assert drawn[0].image.tobytes() == drawn[2].image.tobytes() != drawn[1].image.tobytes()


def test_a_broken_file_ends_its_own_job(engine: Engine) -> None:
    """Before the first pass is drawn, and nobody else's."""
    theirs = engine.submit("bob", TextToImage(steps=20, width=128, height=128))
    hires = HiresFix(upscaler="broken")
    mine = engine.submit("ada", TextToImage(steps=50, width=64, height=64, hires=hires))
    with pytest.raises(FileError, match="broken"):
        mine.result(60)
    assert mine.progress().fraction == 0
    assert len(theirs.result(60)) == 1


def test_what_a_network_stumbles_over_ends_its_own_job(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers' networks fail as they like; who draws beside goes on."""

    def stumble(*_: Any) -> None:
        raise ValueError("shapes differ")

    theirs = engine.submit("bob", TextToImage(steps=40, width=128, height=128))
    monkeypatch.setattr(UpscaleRun, "_through", stumble)
    with pytest.raises(Exception, match="the upscaler failed: ValueError: shapes differ"):
        engine.submit("ada", enlargement(picture(50, 40))).result(60)
    assert len(theirs.result(60)) == 1


def test_others_draw_between_tiles(engine: Engine) -> None:
    """A picture of many tiles keeps nobody waiting, says how far it is, and is gone when it is cancelled."""
    long = engine.submit("ada", enlargement(picture(1600, 1600), factor=4))
    short = engine.submit("bob", TextToImage(steps=2, width=64, height=64))
    assert len(short.result(60)) == 1
    until = time.monotonic() + 60
    while not 0 < long.progress().fraction < 1:
        assert long.state is not JobState.DONE
        assert time.monotonic() < until
        time.sleep(0.01)
    assert long.state is JobState.RUNNING
    long.cancel(keep_partial=True)
    assert long.result(60) == []


def test_without_a_checkpoint(tmp_path: Path) -> None:
    """Nothing is drawn, so none is needed."""
    torch.manual_seed(5)
    tiny.write(tmp_path / "ESRGAN" / "2x.safetensors", tiny.compact())
    engine = Engine(Store(tmp_path, hashing=False))
    engine.start()
    try:
        (made,) = engine.submit("ada", enlargement(picture(40, 40), "2x")).result(60)
    finally:
        engine.stop()
    assert made.image.size == (80, 80)


def test_limits_hold(store: Store) -> None:
    """Pixels of the result count as those of pictures that are drawn."""
    engine = Engine(store, limits=Limits(pixels_per_request=1))
    with pytest.raises(TooMuchWork, match=r"2000x2000 with 4 megapixels.*Ask for a smaller picture"):
        engine.submit("ada", enlargement(picture(1000, 1000), factor=2))
    with pytest.raises(InvalidRequest, match=r"upscaling_resize is 16000x16000 pixels"):
        enlargement(SimpleNamespace(width=1000, height=1000, save=lambda *_: None), factor=16).resolved()  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="upscaler_1"):
        engine.submit("ada", enlargement(picture(8, 8), "None"))


def test_img2img_grows_by_a_model(engine: Engine) -> None:
    """A source that grows goes through the upscaler once for all pictures over it, whatever the resize mode;
    what does not grow does not."""
    file = io.BytesIO()
    picture(64, 64).save(file, "PNG")

    def drawn(upscaler: str | None, size: int, mode: ResizeMode = ResizeMode.JUST_RESIZE) -> list[bytes]:
        source = ImageToImage(
            images=(file.getvalue(),), denoising_strength=0.1, upscaler=upscaler, resize_mode=mode
        )
        request = TextToImage(source=source, steps=2, width=size, height=size, seed=3, batch_size=2)
        return [one.image.tobytes() for one in engine.submit("ada", request).result(60)]

    for mode in (ResizeMode.JUST_RESIZE, ResizeMode.CROP_AND_RESIZE, ResizeMode.RESIZE_AND_FILL):
        plain, larger = drawn(None, 128, mode), drawn("4x-tiny", 128, mode)
        assert len(larger) == 2
        assert plain != larger
    assert drawn(None, 64) == drawn("4x-tiny", 64)
    with pytest.raises(InvalidRequest, match="upscaler_for_img2img is 'x9'"):
        drawn("x9", 128)


def test_an_inpainted_part_grows_by_a_model(engine: Engine) -> None:
    """Only masked: it is the cut that is enlarged."""
    files = []
    mask = Image.new("L", (128, 128))
    mask.paste(255, (40, 40, 72, 72))
    for one in (picture(128, 128), mask):
        file = io.BytesIO()
        one.save(file, "PNG")
        files.append(file.getvalue())
    source = ImageToImage(images=(files[0],), mask=Mask(image=files[1], padding=8), upscaler="4x-tiny")
    request = TextToImage(source=source, steps=2, width=128, height=128, seed=3)
    assert engine.submit("ada", request).result(60)[0].image.size == (128, 128)
