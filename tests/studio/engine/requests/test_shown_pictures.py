"""Pictures to be looked at: their sizes are those of diffusers' pipelines, and their room is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions
from PIL import Image

from easel.models import Architecture
from easel.studio.engine import InvalidRequest, TextToImage
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.loading.activations import _peak, activations
from easel.studio.engine.requests.shown_pictures import fitted, opened_pictures, shown_pixels, shown_size
from easel.studio.engine.transformers.table import transformer_of
from easel.studio.families import family

SIZES = [(1024, 1024), (640, 480), (3000, 2000), (500, 2100), (77, 4000), (1920, 1080), (16, 9), (1, 900)]
EDITING = [Architecture.FLUX_KONTEXT, Architecture.FLUX2, Architecture.FLUX2_KLEIN_4B,
           Architecture.QWEN_IMAGE_EDIT]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_kontext_sees_the_nearest_of_its_sizes(size: tuple[int, int]) -> None:
    """As diffusers' pipeline chooses it."""
    ratio = size[0] / size[1]
    _, width, height = min((abs(ratio - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
    assert shown_size(size, family(Architecture.FLUX_KONTEXT)) == (width // 16 * 16, height // 16 * 16)


@pytest.mark.parametrize("size", SIZES)
def test_qwen_sees_every_picture_at_one_area(size: tuple[int, int]) -> None:
    """As diffusers' pipeline reckons it; of a picture without a side of its own there is one patch."""
    width, height = calculate_dimensions(1024 * 1024, size[0] / size[1])
    assert shown_size(size, family(Architecture.QWEN_IMAGE_EDIT)) == (max(16, width), max(16, height))


@pytest.mark.parametrize("size", [one for one in SIZES if min(one) >= 16])
def test_flux2_sees_it_as_it_is_or_what_fits(size: tuple[int, int]) -> None:
    """The same pixels as diffusers' processor leaves, but for how each rounds at the edge of the cut."""
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    processor = Flux2ImageProcessor(vae_scale_factor=16)
    theirs = image
    if size[0] * size[1] > 1024 * 1024:
        theirs = processor._resize_to_target_area(image, 1024 * 1024)
    width, height = (max(16, side // 16 * 16) for side in theirs.size)
    wanted = processor.preprocess(theirs, height=height, width=width, resize_mode="crop")
    ours = fitted(image, family(Architecture.FLUX2))
    assert ours.size == (width, height)
    found = torch.from_numpy(np.asarray(ours).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    assert (found - wanted).abs().mean() < 0.02


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(one, marks=[pytest.mark.slow] if one in EDITING[1:] else [], id=one.value)
        for one in EDITING
    ],
)
def test_the_room_they_take_is_counted(kind: Architecture) -> None:
    """A call with two pictures beside takes no more than was said of it, and that is not twice as much as
    there is."""
    one = family(kind)
    bones = torch.nn.Module.to(skeleton(one).backbone, torch.bfloat16)
    model = transformer_of(kind)
    assert one.flow is not None
    side = one.native // one.downscale

    def call(side: int) -> object:
        inputs = model.empty_inputs(bones, side, side, 512)
        shown = tuple(inputs.latents.new_empty((1, inputs.latents.shape[1], side, side)) for _ in range(2))
        return model.velocity(bones, replace(inputs, references=shown)).float()

    taken = _peak(call, side)
    said = activations(one, torch.bfloat16).of_call(3 * side**2, 1)
    assert taken <= said <= 2 * taken
    pixels = shown_pixels([(1024, 1024)] * 2, one)
    assert pixels == 2 * 1024**2


def test_who_looks_at_none_says_so() -> None:
    """Before anything is opened; how many there may be is the request's own."""
    asked = TextToImage(shown=(b"no picture",))
    with pytest.raises(InvalidRequest, match="SDXL looks at no pictures"):
        opened_pictures(asked, family(Architecture.SDXL))
    with pytest.raises(InvalidRequest, match="no picture"):
        opened_pictures(asked, family(Architecture.FLUX2))
    with pytest.raises(InvalidRequest, match="up to 8"):
        TextToImage(shown=(b"",) * 9).resolved()


def test_they_are_work() -> None:
    """A picture that is looked at costs as one of its size that is drawn."""
    plain = TextToImage(width=1024, height=1024, steps=10).resolved()
    (one,), (two,) = plain.passes(), replace(plain, shown=(b"",)).passes()
    assert two.work == 2 * one.work
