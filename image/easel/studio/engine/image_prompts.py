"""Pictures as prompts (IP-Adapter): from a request's units to what the image encoder is shown.

Done where the request is taken, not on the engine's thread: others draw meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.models import ModelFile, Store
from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine.control.clip_view import clip_view
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control.unit import ControlMode, ControlUnit
from easel.studio.engine.controls import Size, as_seen, control_file, drawn_over, region_of
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.image_prompt_layout import (
    ImagePromptLayout,
    VisionLayout,
    find_image_encoder,
    is_image_prompt,
)
from easel.studio.engine.imaging import Prepared, flattened
from easel.studio.engine.request import TextToImage
from easel.studio.engine.source_image import GrowingSource, opened

Views = NDArray[np.float32]
"""(pictures, 3, side, side)."""


@dataclass(frozen=True, eq=False)
class PreparedImagePrompt:
    """A unit with its files, and what its encoder is to see: `views` for each source picture, or one for all.

    `regions` are where it counts, 0 to 1, by size (width, height in pixels); none for everywhere.
    """

    unit: ControlUnit
    file: ModelFile
    layout: ImagePromptLayout
    encoder: ModelFile
    vision: VisionLayout
    views: tuple[Views, ...]
    regions: Mapping[Size, NDArray[np.float32]]

    @property
    def notes(self) -> list[str]:
        """What of the unit counts for nothing."""
        if self.unit.control_mode is ControlMode.BALANCED:
            return []
        words = "ControlNet's control mode counts for nothing with an IP-Adapter, as in the extension."
        return [remark("control_mode", words, about="controlnet_units")]

    def view(self, index: int) -> Views:
        """Those of the picture with this number."""
        return self.views[index % len(self.views)]


def prepared_image_prompts(
    request: TextToImage, store: Store, sources: Sequence[Prepared | GrowingSource]
) -> tuple[PreparedImagePrompt, ...]:
    """The units of a resolved request whose file is an IP-Adapter.

    Raises InvalidRequest, UnknownModel for a file that is not there, and UnknownArchitecture for an adapter
    of a kind that is not drawn with here.
    """
    named = ((unit, control_file(unit, store)) for unit in request.controls if not unit.refers)
    return tuple(
        _prepared(unit, file, request, store, sources) for unit, file in named if is_image_prompt(file)
    )


def _prepared(
    unit: ControlUnit,
    file: ModelFile,
    request: TextToImage,
    store: Store,
    sources: Sequence[Prepared | GrowingSource],
) -> PreparedImagePrompt:
    way = preprocessor(unit.module)
    if not (way.encodes or way.module == "none"):
        raise InvalidRequest(
            "controlnet.module",
            unit.module,
            remark("for_ip_adapter", "ip-adapter-auto or none: {name} is an IP-Adapter", name=file.name),
        )
    layout = ImagePromptLayout.of(file)
    encoder, vision = find_image_encoder(store, file, layout)
    views = tuple(
        np.stack([clip_view(image, vision.image_size) for image in images])
        for images in _pictures(unit, sources)
    )
    sizes = {(one.width, one.height) for one in request.passes()} if unit.region else set()
    regions = {size: region_of(unit, size) for size in sizes}
    return PreparedImagePrompt(unit, file, layout, encoder, vision, views, regions)


def _pictures(unit: ControlUnit, sources: Sequence[Prepared | GrowingSource]) -> list[list[Image.Image]]:
    """The unit's own pictures, or those that are drawn over, one for each."""
    files = [one for one in (unit.image, *unit.more_images) if one]
    if files:
        return [[flattened(opened("controlnet.image", one)) for one in files]]
    if not sources:
        raise InvalidRequest("controlnet.image", allowed.NOTHING, allowed.PICTURE_FOR_EACH_UNIT)
    return [[drawn_over(one).convert("RGB")] for one in as_seen(sources)]
