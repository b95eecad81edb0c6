"""What a control model is shown, at the size of each pass: from a request's units and pictures.

Done where the request is taken, not on the engine's thread: others draw meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.models import Kind, ModelFile, Store, is_lite_control, read_header
from easel.remark import figure, remark
from easel.studio import allowed
from easel.studio.engine.control.map_size import at_size
from easel.studio.engine.control.preprocessors import Pixels, Preprocessor, preprocessor
from easel.studio.engine.control.unit import MAX_UNITS, ControlMode, ControlUnit
from easel.studio.engine.control_models.image_prompt_layout import (
    is_identity_adapter,
    is_image_prompt,
    reads_identity,
)
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import Prepared, ResizeMode, flattened, resized
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.source_image import GrowingSource, opened

Size = tuple[int, int]
_Named = Sequence[tuple[ControlUnit, ModelFile]]
_HALF = 127


@dataclass(frozen=True, eq=False)
class Hint:
    """A control's picture (height, width, 3), where a mask leaves it open, and how much it counts where
    (0 to 1, (height, width)); None for everywhere."""

    pixels: Pixels
    open: NDArray[np.bool_] | None = None
    region: NDArray[np.float32] | None = None

    def shown(self) -> NDArray[np.float32]:
        """As the model sees it, (height, width, 3): 0 to 1, and -1 where it is open."""
        shown = np.asarray(self.pixels / 255, np.float32)
        if self.open is not None:
            shown[self.open] = -1
        return shown


@dataclass(frozen=True, eq=False)
class PreparedControl:
    """A unit with its file and hints: by size (width, height in pixels) for each source picture, or one for
    all. `map` is what the preprocessor made of the first, as large as what is drawn. `reads_face_by` is the
    unit whose adapter tells InstantID's ControlNet of a face, in the place of words."""

    unit: ControlUnit
    file: ModelFile
    hints: tuple[Mapping[Size, Hint], ...]
    map: Image.Image
    reads_face_by: ControlUnit | None = None

    @property
    def notes(self) -> list[str]:
        """What of the unit counts for nothing."""
        way, unit = preprocessor(self.unit.module), self.unit
        numbers = (
            ("threshold_a", unit.threshold_a, way.slider_a),
            ("threshold_b", unit.threshold_b, way.slider_b),
        )
        found: list[str] = [
            remark(
                "control_number",
                "ControlNet's {name} {value} is out of range for {way}: {taken} was taken.",
                about="controlnet_units",
                name=name,
                value=figure(value, "g"),
                way=way.label,
                taken=figure(slider.value, "g"),
            )
            for name, value, slider in numbers
            if slider is not None and value >= 0 and not slider.minimum <= value <= slider.maximum
        ]
        if unit.mask and not way.masked:
            words = "ControlNet's mask counts for nothing with {way}."
            found.append(remark("control_mask", words, about="controlnet_units", way=way.label))
        if unit.control_mode is not ControlMode.BALANCED and is_lite_control(read_header(self.file.path)):
            words = (
                "ControlNet's control mode counts for nothing with a ControlNet-LLLite, as in the extension."
            )
            found.append(remark("lite_mode", words, about="controlnet_units"))
        return found

    def hint(self, index: int, size: Size) -> Hint:
        """That of the picture with this number."""
        return self.hints[index % len(self.hints)][size]


def prepared_controls(
    request: TextToImage, store: Store, sources: Sequence[Prepared | GrowingSource]
) -> tuple[PreparedControl, ...]:
    """The controls of a request that is resolved, but IP-Adapters and references. Raises InvalidRequest, and
    UnknownModel for a file that is not there.

    Of a source that an upscaler has yet to make larger, the hint is taken from its plain enlargement.
    """
    if len(request.controls) > MAX_UNITS:
        raise InvalidRequest(
            "controlnet",
            remark("counted_units", "{n} units", n=len(request.controls)),
            remark("up_to_units", "up to {n} units", n=MAX_UNITS),
        )
    named: _Named = [(unit, control_file(unit, store)) for unit in request.controls if not unit.refers]
    maps = [place for place, (_, file) in enumerate(named) if not is_image_prompt(file)]
    if not maps:
        return ()
    tellers = {place: _identity_unit(place, named) for place in maps}
    seen = as_seen(sources)
    return tuple(
        replace(_prepared(*named[place], request, store, seen), reads_face_by=tellers[place])
        for place in maps
    )


def _identity_unit(place: int, named: _Named) -> ControlUnit | None:
    """The unit whose adapter tells the ControlNet at this place of a face: of InstantID's, the next one
    before it, or else behind it; None for any other ControlNet. Raises InvalidRequest where there is none."""
    unit, file = named[place]
    if not reads_identity(file.stem, unit.module):
        return None
    order: list[int] = [*range(place - 1, -1, -1), *range(place + 1, len(named))]
    for other in order:
        teller, adapter = named[other]
        if is_identity_adapter(adapter):
            return teller
    raise InvalidRequest(
        "controlnet.model",
        file.name,
        remark(
            "needs_identity",
            "with a unit before it whose model is InstantID's IP-Adapter (ip-adapter_instant_id_sdxl): "
            "by that it is told of the face",
        ),
    )


def as_seen(sources: Sequence[Prepared | GrowingSource]) -> list[Prepared]:
    """The sources; of those that an upscaler has yet to make larger, plain enlargements."""
    return [one if isinstance(one, Prepared) else one.prepare(lambda image, _: image) for one in sources]


def control_file(unit: ControlUnit, store: Store) -> ModelFile:
    """The file that a unit names. Raises InvalidRequest where it names none, and UnknownModel."""
    if unit.model.strip().lower() in ("", "none"):
        known = [one.stem for one in store.files(Kind.CONTROLNET)]
        raise InvalidRequest(
            "controlnet.model",
            unit.model,
            ", ".join(known[:20])
            or remark("a_controlnet", "a file of models/ControlNet, where there is none"),
        )
    return store.find(Kind.CONTROLNET, unit.model)


def detected_map(
    way: Preprocessor, store: Store, file: bytes, resolution: int, a: float, b: float
) -> Image.Image:
    """What a preprocessor makes of a picture's file. Raises InvalidRequest, and a FileError for a network
    that cannot be used."""
    return Image.fromarray(
        _with_network(way, store).detect(flattened(opened("controlnet.image", file)), resolution, a, b)
    )


def _with_network(way: Preprocessor, store: Store) -> Preprocessor:
    # Only here: it brings torch, and requests are checked before that is imported.
    from easel.studio.engine.control_models.annotators import with_network

    return with_network(way, store)


def _prepared(
    unit: ControlUnit, file: ModelFile, request: TextToImage, store: Store, sources: Sequence[Prepared]
) -> PreparedControl:
    way = preprocessor(unit.module)
    if way.encodes:
        raise InvalidRequest(
            "controlnet.module",
            unit.module,
            remark("makes_maps", "a preprocessor that makes maps: {name} is no IP-Adapter", name=file.name),
        )
    if unit.more_images:
        raise InvalidRequest(
            "controlnet.image",
            allowed.counted_pictures(1 + len(unit.more_images)),
            allowed.ONE_PICTURE_FOR_EACH_UNIT,
        )
    way = _with_network(way, store)
    sizes = [(one.width, one.height) for one in request.passes()]
    hints = tuple(_hints(unit, way, sizes, image, mask) for image, mask in unit_pictures(unit, way, sources))
    return PreparedControl(unit, file, hints, Image.fromarray(hints[0][sizes[0]].pixels))


def unit_pictures(
    unit: ControlUnit, way: Preprocessor, sources: Sequence[Prepared]
) -> list[tuple[Image.Image, Image.Image | None]]:
    """The unit's own picture and mask, or those that are drawn over, one for each."""
    mask = opened("controlnet.mask", unit.mask).convert("L") if unit.mask else None
    if not unit.image:
        if not sources:
            raise InvalidRequest("controlnet.image", allowed.NOTHING, allowed.PICTURE_FOR_EACH_UNIT)
        return [(drawn_over(one), mask or (_drawn_anew(one) if way.masked else None)) for one in sources]
    image = flattened(opened("controlnet.image", unit.image))
    if way.masked and mask is None:
        if not sources or sources[0].mask is None:
            raise InvalidRequest(
                "controlnet.mask",
                allowed.NOTHING,
                remark("a_mask_for", "a mask: {way} fills what is white in it", way=way.label),
            )
        return [(_cut(image, unit, one), _drawn_anew(one)) for one in sources]
    return [(_cut(image, unit, one), mask) for one in sources] if sources else [(image, mask)]


def drawn_over(source: Prepared) -> Image.Image:
    """The picture before anything was filled in, as far as it is drawn."""
    return source.original if source.region is None else source.original.crop(source.region)


def _drawn_anew(source: Prepared) -> Image.Image | None:
    mask = source.conditioning_mask or source.mask
    return mask.convert("L") if mask is not None else None


def _cut(image: Image.Image, unit: ControlUnit, source: Prepared) -> Image.Image:
    """Of a picture for the whole, the part that "only masked" draws."""
    if source.region is None or not unit.crop_to_mask:
        return image
    return resized(image, unit.resize_mode, *source.original.size).crop(source.region)


def _hints(
    unit: ControlUnit, way: Preprocessor, sizes: Sequence[Size], image: Image.Image, mask: Image.Image | None
) -> dict[Size, Hint]:
    resolution = (
        _pixel_perfect(image.size, sizes[0], unit.resize_mode) if unit.pixel_perfect else unit.resolution
    )
    found = Image.fromarray(way.detect(image, resolution, unit.threshold_a, unit.threshold_b))
    hints = {}
    for size in dict.fromkeys(sizes):
        pixels = np.asarray(at_size(found, unit.resize_mode, *size))
        open_at = None
        if way.masked and mask is not None:
            whole = mask if mask.size == found.size else mask.resize(found.size)
            open_at = np.asarray(resized(whole, unit.resize_mode, *size)) > _HALF
        counts = region_of(unit, size) if unit.region else None
        hints[size] = Hint(pixels, open_at, counts)
    return hints


def region_of(unit: ControlUnit, size: Size) -> NDArray[np.float32]:
    """Where a unit counts that has a mask for it, 0 to 1, (height, width)."""
    mask = opened("controlnet.effective_region_mask", unit.region).convert("L")
    return np.asarray(np.asarray(resized(mask, unit.resize_mode, *size)) / 255, np.float32)


def _pixel_perfect(image: Size, drawn: Size, mode: ResizeMode) -> int:
    """The shorter side of the picture when it is as large as it is drawn."""
    across, down = drawn[0] / image[0], drawn[1] / image[1]
    factor = min(across, down) if mode is ResizeMode.RESIZE_AND_FILL else max(across, down)
    return round(factor * min(image))
