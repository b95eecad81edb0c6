"""What was not to change is laid over what was drawn."""

from __future__ import annotations

from PIL import Image, ImageOps

from easel.studio.engine.imaging.mask import CropRegion
from easel.studio.engine.imaging.resize import ResizeMode, resized


def overlay_of(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture (RGBA), transparent where the mask is white; both of one size."""
    canvas = Image.new("RGBa", image.size)
    canvas.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    return canvas.convert("RGBA")


def uncropped(drawn: Image.Image, size: tuple[int, int], region: CropRegion) -> Image.Image:
    """A picture (or mask) of `size`, what was drawn of the region in its place; black around it."""
    canvas = Image.new(drawn.mode, size)
    canvas.paste(resized(drawn, ResizeMode.CROP_AND_RESIZE, region.width, region.height), region[:2])
    return canvas


def composited(drawn: Image.Image, overlay: Image.Image, region: CropRegion | None = None) -> Image.Image:
    """The finished picture (RGB): what was drawn, put where the region was cut out, under the overlay.

    Without a region `drawn` is as large as the overlay.
    """
    below = drawn if region is None else uncropped(drawn, overlay.size, region)
    return Image.alpha_composite(below.convert("RGBA"), overlay).convert("RGB")
