"""What A1111's scripts that draw a picture in parts have in common."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.result import ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.requests.sent_picture import SentPictures
from easel.studio.api.scripts.seeds import with_fixed_seeds
from easel.studio.engine import InvalidRequest
from easel.studio.engine.imaging import OutpaintTile, Side

if TYPE_CHECKING:
    from PIL.Image import Image

PIXELS = Argument("Pixels to expand", 128, 8, 256, 8)
DIRECTION = Argument("Outpainting direction", [side.value for side in Side])


def begun(asked: DrawingRequest) -> tuple[ImageToImageRequest, Image]:
    """The request for one picture with its seed, and its first picture (RGB). Raises InvalidRequest for a
    request that begins without one."""
    from PIL import Image

    if not isinstance(asked, ImageToImageRequest):
        raise InvalidRequest("script_name", asked.script_name, allowed.ONLY_TEXT)
    base = with_fixed_seeds(asked).model_copy(
        update={"batch_size": 1, "n_iter": 1, "do_not_save_grid": True, "inpaint_full_res": False}
    )
    return base, Image.open(io.BytesIO(asked.sent.images[0])).convert("RGB")


def sides_of(direction: Any) -> list[Side]:
    """The sides that are named, in mk2's order. Raises InvalidRequest."""
    named = [direction] if isinstance(direction, str) else direction
    known = [side.value for side in Side]
    if not isinstance(named, list) or not named or any(one not in known for one in named):
        raise InvalidRequest(f"script_args.{DIRECTION.label}", direction, ", ".join(known))
    return [side for side in Side if side.value in named]


def inpainting(
    base: ImageToImageRequest, tile: OutpaintTile, *, seed: int, mask_blur: int, fill: int
) -> ImageToImageRequest:
    """The request that draws one tile."""
    width, height = tile.image.size
    return base.over(
        SentPictures.of([tile.image], tile.mask, tile.latent_mask),
        width=width,
        height=height,
        seed=seed,
        mask_blur=mask_blur,
        inpainting_fill=fill,
        inpainting_mask_invert=0,
        resize_mode=0,
    )


def fitted(pictures: Sequence[ResultPicture], size: tuple[int, int]) -> Image:
    """What was drawn of one tile, as large as the tile: sizes that 8 does not divide are drawn a little
    smaller."""
    from PIL import Image

    drawn = pictures[0].image
    return drawn if drawn.size == size else drawn.resize(size, Image.Resampling.LANCZOS)
