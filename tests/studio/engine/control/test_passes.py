"""Controls where a picture is drawn over another, in a mask, or twice: what is controlled, and by what."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from easel.studio.engine import (
    ControlledPasses,
    ControlUnit,
    Drawn,
    Engine,
    HiresFix,
    ImageToImage,
    Mask,
    ResizeMode,
    TextToImage,
)
from easel.studio.engine.control_models.controls import prepared_controls
from easel.studio.engine.requests.source_image import prepared_sources
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.control.driving import starter_store

SIDE = 64
ASKED = TextToImage(prompt="a red circle on a blue background", width=SIDE, height=SIDE, steps=4, seed=7)
WAIT = 180


def file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def pixels(drawn: Drawn) -> np.ndarray:
    return np.asarray(drawn.image).astype(int)


RING = Image.new("RGB", (SIDE, SIDE))
ImageDraw.Draw(RING).ellipse((10, 10, 50, 50), outline="white", width=5)
HALF = Image.new("L", (SIDE, SIDE))
ImageDraw.Draw(HALF).rectangle((0, 0, 31, SIDE), fill=255)
UNIT = ControlUnit(model="net", image=file(RING))


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The starter with a ControlNet of its shape."""
    engine = Engine(starter_store(tmp_path_factory.mktemp("passes")), default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: object) -> Drawn:
    (drawn,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)
    return drawn


def test_each_pass_of_hires_fix(controlled: Engine) -> None:
    """Both passes are controlled, or the one that the unit says; the map is as large as each."""
    hires = HiresFix(scale=1.5, steps=3, denoising_strength=0.9)
    drawn = {
        one: pixels(draw(controlled, replace(UNIT, passes=one), hires=hires)) for one in ControlledPasses
    }
    plain = pixels(draw(controlled, hires=hires))
    every = [plain, *drawn.values()]
    assert {one.shape for one in every} == {(96, 96, 3)}
    assert all((one != other).any() for number, one in enumerate(every) for other in every[:number])


def test_a_mask_holds_with_a_control(controlled: Engine) -> None:
    """Inpainting with a control changes what is masked, otherwise than without, and nothing else."""
    source = ImageToImage(
        images=(file(RING),), denoising_strength=0.9, mask=Mask(image=file(HALF), blur_x=0, blur_y=0)
    )
    for whole in (False, True):
        masked = replace(source, mask=replace(source.mask, only_masked=not whole))  # type: ignore[type-var]
        for unit in (UNIT, replace(UNIT, image=b""), replace(UNIT, image=b"", module="inpaint_only")):
            drawn = pixels(draw(controlled, unit, source=masked))
            plain = pixels(draw(controlled, source=masked))
            assert (drawn[:, :30] != plain[:, :30]).any()
            assert (drawn[:, 36:] == np.asarray(RING)[:, 36:]).all()


def test_what_is_shown_of_only_masked(controlled: Engine) -> None:
    """A unit's own picture is cut as the one drawn over; without `crop_to_mask` all of it is shown."""
    ring, half = (one.resize((128, 128), Image.Resampling.NEAREST) for one in (RING, HALF))
    source = ImageToImage(images=(file(ring),), mask=Mask(image=file(half), blur_x=0, blur_y=0, padding=0))
    request = replace(ASKED, width=64, height=128, source=source).resolved()
    sources = prepared_sources(source, 64, 128)
    own = replace(UNIT, image=file(ring))
    whole = replace(own, crop_to_mask=False, resize_mode=ResizeMode.JUST_RESIZE)
    controls = (own, replace(UNIT, image=b""), whole)
    prepared = prepared_controls(replace(request, controls=controls), controlled.store, sources)
    cut, over, all_of_it = (one.hint(0, (64, 128)).pixels for one in prepared)
    assert (cut == np.asarray(ring)[:, :64]).all()
    assert (over == cut).all()
    assert (all_of_it[:, 40:] != cut[:, 40:]).any()


def test_what_inpainting_controls_are_shown(controlled: Engine) -> None:
    """Minus one where the mask is white, by the unit's own mask or by the one of the request."""
    unit = replace(UNIT, module="inpaint_global_harmonious", mask=file(HALF))
    (one,) = prepared_controls(replace(ASKED, controls=(unit,)).resolved(), controlled.store, ())
    shown = one.hint(0, (SIDE, SIDE)).shown()
    assert (shown[:, :32] == -1).all()
    assert np.allclose(shown[:, 32:], np.asarray(RING)[:, 32:] / 255)


def test_each_source_of_a_batch_is_its_own_control(controlled: Engine) -> None:
    """Several pictures drawn over, a unit without one: each is controlled by its own."""
    other = Image.eval(RING, lambda value: 255 - value)
    source = ImageToImage(images=(file(RING), file(other)), denoising_strength=1.0)
    request = replace(ASKED, batch_size=2, source=source, controls=(replace(UNIT, image=b""),))
    together = [pixels(one) for one in controlled.submit("ada", request).result(WAIT)]
    for index, image in enumerate((RING, other)):
        alone = replace(ASKED, seed=7 + index, source=replace(source, images=(file(image),)),
                        controls=(replace(UNIT, image=file(image)),))  # fmt: skip
        (one,) = controlled.submit("ada", alone).result(WAIT)
        assert int(np.abs(pixels(one) - together[index]).max()) <= 1


def test_pixel_perfect_is_the_size_that_is_drawn(controlled: Engine) -> None:
    """The preprocessor sees the picture as large as it is drawn: no edge is lost or made by a detour."""
    unit = replace(UNIT, module="canny", pixel_perfect=True)
    (one,) = prepared_controls(replace(ASKED, controls=(unit,)).resolved(), controlled.store, ())
    (detour,) = prepared_controls(
        replace(ASKED, controls=(replace(unit, pixel_perfect=False),)).resolved(), controlled.store, ()
    )
    assert one.map.size == (SIDE, SIDE)
    assert (np.asarray(one.map) != np.asarray(detour.map)).any()


def test_tiling_and_interrupt_with_a_control(controlled: Engine) -> None:
    """Edges meet in the ControlNet as in the UNet; what is stopped half-way comes as it is."""
    assert (pixels(draw(controlled, UNIT, tiling=True)) != pixels(draw(controlled, UNIT))).any()
    job = controlled.submit("ada", replace(ASKED, steps=150, controls=(UNIT,)))
    for progress in job.watch(timeout=WAIT):
        if progress.step > 3:
            job.cancel(keep_partial=True)
            break
    (drawn,) = job.result(WAIT)
    assert drawn.partial
