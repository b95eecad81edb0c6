"""Reference controls, which need no model: a request's units, their pictures at the sizes it is drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from easel.studio import allowed
from easel.studio.engine.control.map_size import at_size
from easel.studio.engine.control.preprocessors import Pixels, preprocessor
from easel.studio.engine.control.unit import ControlUnit
from easel.studio.engine.control_models.controls import Size, as_seen, unit_pictures
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import Prepared
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.source_image import GrowingSource


@dataclass(frozen=True, eq=False)
class PreparedReference:
    """A unit with its pictures by size (width, height in pixels), for each source picture or one for all."""

    unit: ControlUnit
    pictures: tuple[Mapping[Size, Pixels], ...]

    def pixels(self, index: int, size: Size) -> Pixels:
        """That of the picture with this number."""
        return self.pictures[index % len(self.pictures)][size]


def prepared_references(
    request: TextToImage, sources: Sequence[Prepared | GrowingSource]
) -> tuple[PreparedReference, ...]:
    """The units of a resolved request that draw by the picture itself. Raises InvalidRequest."""
    return tuple(_prepared(unit, request, sources) for unit in request.controls if unit.refers)


def _prepared(
    unit: ControlUnit, request: TextToImage, sources: Sequence[Prepared | GrowingSource]
) -> PreparedReference:
    if unit.more_images:
        number = 1 + len(unit.more_images)
        raise InvalidRequest(
            "controlnet.image", allowed.counted_pictures(number), allowed.ONE_PICTURE_FOR_EACH_UNIT
        )
    sizes = {(one.width, one.height) for one in request.passes()}
    images = [image for image, _ in unit_pictures(unit, preprocessor(unit.module), as_seen(sources))]
    return PreparedReference(
        unit,
        tuple(
            {size: np.asarray(at_size(image, unit.resize_mode, *size)) for size in sizes} for image in images
        ),
    )
