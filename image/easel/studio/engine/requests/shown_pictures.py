"""Pictures that a model which edits looks at beside what it draws, as large as its publisher shows them.

FLUX.1 Kontext was trained on a list of sizes, of which the nearest in shape is taken; FLUX.2 sees a picture
as it is, or what fits of it; Qwen-Image-Edit each at the same area (diffusers' `FluxKontextPipeline`,
`Flux2Pipeline` and `QwenImageEditPlusPipeline`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

from PIL import Image

from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import ResizeMode, resized
from easel.studio.engine.requests.request import SHOWN_FIELD, TextToImage
from easel.studio.engine.requests.source_image import opened
from easel.studio.families import FAMILY_LABELS, Family, Flow

_Size = tuple[int, int]
_QWEN_MULTIPLE = 32
# The portrait half of them; for a side of 1024.
_KONTEXT = ((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184),
            (944, 1104), (1024, 1024))  # fmt: skip
_KONTEXT_SIDE = 1024


def opened_pictures(request: TextToImage, family: Family | None) -> tuple[Image.Image, ...]:
    """Those that a request sends to be looked at. `family` is the checkpoint's, None where nobody knows it
    yet. Raises InvalidRequest for files that are no pictures, and where the family looks at none."""
    if request.shown and family is not None:
        check_looks(len(request.shown), family)
    return tuple(_upright(file) for file in request.shown)


def check_looks(count: int, family: Family) -> None:
    """Raise InvalidRequest where a family does not look at so many pictures, but draws from words."""
    if count and (family.flow is None or not family.flow.edits):
        raise InvalidRequest(
            SHOWN_FIELD,
            allowed.counted_pictures(count),
            remark(
                "none_looked_at",
                "none: {family} looks at no pictures. FLUX.1 Kontext, FLUX.2 and Qwen-Image-Edit do",
                family=FAMILY_LABELS.get(family.architecture.family, family.name),
            ),
        )


def fitted(image: Image.Image, family: Family) -> Image.Image:
    """The picture in RGB at the size that this family looks at it."""
    size = shown_size(image.size, family)
    if family.architecture.family == "flux2" and family.flow is not None:
        # what is over is cut off, and nothing is stretched; in two steps, as the pipeline does it
        whole = _within(image.size, family.flow)
        if whole != image.size:
            image = image.resize(whole, Image.Resampling.LANCZOS)
        return resized(image, ResizeMode.CROP_AND_RESIZE, *size)
    return image.resize(size, Image.Resampling.LANCZOS)


def shown_size(size: _Size, family: Family) -> _Size:
    """Width and height in pixels that a picture of this size is looked at."""
    assert family.flow is not None  # noqa: S101 - `check_looks` came before
    width, height = _SIZES[family.architecture.family](size, family.flow)
    return max(family.multiple, width), max(family.multiple, height)


def shown_pixels(sizes: Sequence[_Size], family: Family) -> int:
    """Pixels of pictures of these sizes as they are looked at."""
    return sum(width * height for width, height in (shown_size(one, family) for one in sizes))


def _upright(file: bytes) -> Image.Image:
    image = opened(SHOWN_FIELD, file)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        behind = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(behind, clear).convert("RGB")
    return image.convert("RGB")


def _of_kontext(size: _Size, flow: Flow) -> _Size:
    shape = size[0] / size[1]
    known = [*_KONTEXT, *((height, width) for width, height in _KONTEXT)]
    nearest = min(known, key=lambda one: (abs(shape - one[0] / one[1]), one))
    width, height = (side * flow.native // _KONTEXT_SIDE // flow.multiple * flow.multiple for side in nearest)
    return width, height


def _of_flux2(size: _Size, flow: Flow) -> _Size:
    width, height = (side // flow.multiple * flow.multiple for side in _within(size, flow))
    return width, height


def _within(size: _Size, flow: Flow) -> _Size:
    scale = min(1.0, sqrt(flow.native**2 / (size[0] * size[1])))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _of_qwen(size: _Size, flow: Flow) -> _Size:
    wide = sqrt(flow.native**2 * size[0] / size[1])
    high = wide / (size[0] / size[1])
    width, height = (round(side / _QWEN_MULTIPLE) * _QWEN_MULTIPLE for side in (wide, high))
    return width, height


_SIZES: Mapping[str, Callable[[_Size, Flow], _Size]] = {
    "flux": _of_kontext, "flux2": _of_flux2, "qwen-image": _of_qwen,
}  # fmt: skip
