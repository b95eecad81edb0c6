"""Everything between a request's picture and its latents, and between its last picture and the answer.

prepared = prepare(picture, 512, 512, Inpainting(painted, only_masked=True))
... encode prepared.image, draw, decode ...
finished = prepared.finished(drawn)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.remark import remark
from easel.studio.engine.imaging.color import corrected, flattened
from easel.studio.engine.imaging.fill import MaskedContent, filled_from_around
from easel.studio.engine.imaging.mask import (
    CropRegion,
    at_aspect,
    at_latent_size,
    masked_region,
    prepared_mask,
    strengthened,
)
from easel.studio.engine.imaging.overlay import composited, overlay_of, uncropped
from easel.studio.engine.imaging.resize import Enlarger, ResizeMode, resized

BLANK_MASK = remark(
    "blank_mask",
    'Unable to perform "Inpaint Only mask" because mask is blank, switch to img2img mode.',
    about="mask",
)
"""What A1111 says, word for word (`comments` in its answer)."""


@dataclass(frozen=True)
class Inpainting:
    """The fields of A1111's img2img that speak of the mask, with its API's defaults."""

    mask: Image.Image
    """As it was sent: any mode, white (or opaque) is drawn anew."""
    blur_x: float = 4
    blur_y: float = 4
    rounded: bool = True
    """`mask_round`; off for soft inpainting."""
    content: MaskedContent = MaskedContent.FILL
    only_masked: bool = True
    """`inpaint_full_res`."""
    padding: int = 0
    """`inpaint_full_res_padding`, in pixels of the picture."""
    invert: bool = False
    latent_mask: Image.Image | None = None
    """Takes the place of `mask` in the latents; as large as what is drawn. Outpainting has one."""


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready to be drawn over."""

    image: Image.Image
    """For the VAE (RGB), width × height; in `LATENT_UPSCALE` as large as it was sent."""
    original: Image.Image
    """What the overlay is made of (RGB): the whole picture, as large as the answer."""
    mask: Image.Image | None = None
    """For the latents (mode L); None if all is drawn."""
    rounded: bool = True
    overlay_mask: Image.Image | None = None
    """As large as `original`; A1111's `return_mask`."""
    region: CropRegion | None = None
    """What was cut out of `original`, if only that was."""
    conditioning_mask: Image.Image | None = None
    """What an inpainting checkpoint is shown (mode L, width × height): `mask`, but when outpainting."""
    comment: str = ""

    def latent_mask(self, width: int, height: int) -> NDArray[np.float32] | None:
        """The mask at the size of the latents, (height, width); 1 is drawn anew."""
        return None if self.mask is None else at_latent_size(self.mask, width, height, rounded=self.rounded)

    def finished(
        self, drawn: Image.Image, *, color_correction: bool = False, soft_mask: Image.Image | None = None
    ) -> Image.Image:
        """The answer: colours corrected if asked, back in its place, the original over it.

        `soft_mask` is `soft_inpainting.overlay_mask` of this picture, as large as what was drawn.
        """
        if color_correction:
            drawn = corrected(drawn, self.image)
        if self.overlay_mask is None:
            return drawn
        mask = self.overlay_mask
        if soft_mask is not None:
            mask = soft_mask
            if self.region is not None:
                mask = uncropped(soft_mask, self.original.size, self.region)
        return composited(drawn, overlay_of(self.original, mask), self.region)


def prepare(
    picture: Image.Image,
    width: int,
    height: int,
    inpainting: Inpainting | None = None,
    *,
    resize_mode: ResizeMode = ResizeMode.JUST_RESIZE,
    background: str = "#ffffff",
    enlarge: Enlarger | None = None,
) -> Prepared:
    """`width` and `height` are those that are drawn; `enlarge` is `upscaler_for_img2img`.

    A mask with nothing in it makes "only masked" an img2img of the whole picture, with a comment.
    """
    picture = flattened(picture, background)
    if inpainting is None:
        return _whole(picture, width, height, resize_mode, enlarge)
    mask = prepared_mask(
        inpainting.mask,
        picture.size,
        invert=inpainting.invert,
        blur_x=inpainting.blur_x,
        blur_y=inpainting.blur_y,
        rounded=inpainting.rounded,
    )
    if not inpainting.only_masked:
        return _masked(picture, mask, width, height, inpainting, resize_mode, enlarge)
    region = masked_region(mask, inpainting.padding)
    if region is None:
        return _whole(picture, width, height, resize_mode, enlarge, comment=BLANK_MASK)
    region = at_aspect(region, width / height, picture.size)
    fit = ResizeMode.RESIZE_AND_FILL
    cut = resized(mask.crop(region), fit, width, height)
    latent_mask = inpainting.latent_mask or cut
    image = _with_content(
        resized(picture.crop(region), fit, width, height, enlarge), latent_mask, inpainting.content
    )
    return Prepared(image, picture, latent_mask, inpainting.rounded, mask, region, cut)


def _whole(
    picture: Image.Image,
    width: int,
    height: int,
    mode: ResizeMode,
    enlarge: Enlarger | None,
    *,
    comment: str = "",
) -> Prepared:
    if mode is ResizeMode.LATENT_UPSCALE:
        return Prepared(picture, resized(picture, mode, width, height), comment=comment)
    image = resized(picture, mode, width, height, enlarge)
    return Prepared(image, image, comment=comment)


def _masked(
    picture: Image.Image,
    mask: Image.Image,
    width: int,
    height: int,
    inpainting: Inpainting,
    mode: ResizeMode,
    enlarge: Enlarger | None,
) -> Prepared:
    """The whole picture is drawn, and only what is masked stays of it."""
    whole = _whole(picture, width, height, mode, enlarge)
    mask = resized(mask, mode, width, height)
    latent_mask = inpainting.latent_mask or mask
    image = _with_content(whole.image, latent_mask, inpainting.content)
    return Prepared(
        image, whole.original, latent_mask, inpainting.rounded, strengthened(mask), conditioning_mask=mask
    )


def _with_content(image: Image.Image, mask: Image.Image, content: MaskedContent) -> Image.Image:
    if content is MaskedContent.ORIGINAL:
        return image
    if mask.size != image.size:  # latents are upscaled, pixels are as they were sent
        mask = mask.resize(image.size, Image.Resampling.LANCZOS)
    return filled_from_around(image, mask)
