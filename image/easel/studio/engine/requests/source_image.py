"""A request's source pictures, opened and made ready to be drawn over.

Done where the request is taken, not on the engine's thread: others draw meanwhile.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageOps

from easel.remark import figure, remark
from easel.studio import allowed
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import Enlarger, Inpainting, Prepared, ResizeMode, prepare
from easel.studio.engine.requests.image_to_image import ImageToImage, Mask
from easel.studio.engine.requests.request import MAX_SIDE

MAX_PIXELS = 1 << 26
"""Of a source picture, 67 million: 200 MB once it is opened."""


@dataclass(frozen=True)
class GrowingSource:
    """A picture that an upscaler has to make larger before it can be drawn over: `image`, so many times."""

    image: Image.Image
    times: float
    upscaler: str
    prepare: Callable[[Enlarger], Prepared]
    """Given what answers with the larger picture."""
    comment: str = ""
    """Nothing yet: what there is to say is known when it is prepared."""


class _Grows(Exception):
    """`prepare` came to where a picture is to be made larger."""

    def __init__(self, image: Image.Image, times: float) -> None:
        self.image, self.times = image, times


def prepared_sources(source: ImageToImage, width: int, height: int) -> list[Prepared | GrowingSource]:
    """Every picture of a source, for a drawing of `width` × `height` pixels, as far as it can be made ready
    without the device. Raises InvalidRequest for files that are no pictures."""
    mask = _inpainting(source.mask) if source.mask is not None else None
    found: list[Prepared | GrowingSource] = []
    for file in source.images:
        picture = opened("init_images", file)
        if source.resize_mode is ResizeMode.LATENT_UPSCALE and (mask is None or not mask.only_masked):
            _see_that_it_may_be_encoded(picture)
        ready = partial(
            prepare,
            picture,
            width,
            height,
            mask,
            resize_mode=source.resize_mode,
            background=source.background,
        )  # fmt: skip
        try:
            found.append(_as_far_as_it_goes(ready, source.upscaler))
        except ValueError as error:  # of Pillow, for what is no colour
            raise InvalidRequest("img2img_background_color", source.background, allowed.COLOUR) from error
    return found


def _as_far_as_it_goes(ready: Callable[..., Prepared], upscaler: str | None) -> Prepared | GrowingSource:
    if upscaler is None:
        return ready()

    def interrupt(image: Image.Image, times: float) -> Image.Image:
        raise _Grows(image, times)

    try:
        return ready(enlarge=interrupt)
    except _Grows as asked:
        return GrowingSource(asked.image, asked.times, upscaler, lambda answer: ready(enlarge=answer))


def _see_that_it_may_be_encoded(picture: Image.Image) -> None:
    """Raise InvalidRequest for a picture whose way through the VAE, as large as it is, is longer than that of
    any picture that may be drawn: others wait for the device, and it is counted as what is drawn."""
    if picture.width * picture.height > MAX_SIDE**2:
        raise InvalidRequest(
            "init_images",
            remark(
                "sent_with_latent_upscale",
                "{size} with resize_mode 3",
                size=f"{picture.width}x{picture.height}",
            ),
            remark(
                "latents_up_to",
                "up to {most} pixels; resize_mode 0, 1 and 2 make it smaller first",
                most=figure(MAX_SIDE**2),
            ),
        )


def opened(field: str, file: bytes) -> Image.Image:
    """A picture of a request, turned as its EXIF says. Raises InvalidRequest."""
    try:
        image = Image.open(io.BytesIO(file))
        if image.width * image.height > MAX_PIXELS:
            raise InvalidRequest(field, f"{image.width}x{image.height}", allowed.pixels(MAX_PIXELS))
        image.load()
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidRequest(
            field,
            remark("no_picture_bytes", "{n} bytes that are no picture", n=len(file)),
            allowed.PICTURE_FILE,
        ) from error


def _inpainting(mask: Mask) -> Inpainting:
    return Inpainting(
        opened("mask", mask.image),
        blur_x=mask.blur_x,
        blur_y=mask.blur_y,
        rounded=mask.round_latents and mask.soft is None,
        content=mask.content,
        only_masked=mask.only_masked,
        padding=mask.padding,
        invert=mask.invert,
        latent_mask=opened("latent_mask", mask.latent_image) if mask.latent_image else None,
    )
