"""Pictures as prompts (IP-Adapter): from a request's units to what the image encoder is shown, and to faces
as numbers.

Done where the request is taken, not on the engine's thread: others draw meanwhile.
"""

from __future__ import annotations

import re
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
from easel.studio.engine.control_models.controls import Size, as_seen, control_file, drawn_over, region_of
from easel.studio.engine.control_models.image_prompt_layout import (
    ImagePromptLayout,
    find_image_encoder,
    is_image_prompt,
)
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import Prepared, flattened
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.source_image import GrowingSource, opened

Views = NDArray[np.float32]
"""(pictures, 3, side, side)."""
Faces = NDArray[np.float32]
"""(pictures, 512)."""
# A LoRA's name in a prompt.
_TAG = re.compile(r"<(?:lora|lyco):([^<>:]*)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class SeenPictures:
    """What an adapter reads of some pictures: what its encoder is shown, and the numbers of their faces; None
    where it does not look at these. `crowded` are the numbers of pictures with more than one face."""

    views: Views | None = None
    faces: Faces | None = None
    crowded: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class PreparedImagePrompt:
    """A unit with its files, and what its adapter is to read: `seen` for each source picture, or once for
    all; `encoder` is None where it needs none.

    `regions` are where it counts, 0 to 1, by size (width, height in pixels); none for everywhere.
    `lora_named`: the prompt names a LoRA of FaceID's."""

    unit: ControlUnit
    file: ModelFile
    layout: ImagePromptLayout
    encoder: ModelFile | None
    seen: tuple[SeenPictures, ...]
    regions: Mapping[Size, NDArray[np.float32]]
    lora_named: bool = False

    @property
    def notes(self) -> list[str]:
        """What of the unit counts for nothing, or not as it might."""
        found: list[str] = []
        if self.unit.control_mode is not ControlMode.BALANCED:
            words = "ControlNet's control mode counts for nothing with an IP-Adapter, as in the extension."
            found.append(remark("control_mode", words, about="controlnet_units"))
        if any(one.crowded for one in self.seen):
            words = "{name}: there is more than one face in the picture; the largest counts."
            found.append(remark("faces_crowded", words, about="controlnet_units", name=self.file.name))
        if self.layout.lora and not self.lora_named:
            words = (
                "{name} was trained together with a LoRA, which the prompt does not name: with "
                "<lora:{stem}:0.6> in it the face comes closer."
            )
            found.append(remark("face_lora", words, about="prompt", name=self.file.name, stem=self.file.stem))
        return found

    def of(self, index: int) -> SeenPictures:
        """What is read of the picture with this number."""
        return self.seen[index % len(self.seen)]


def prepared_image_prompts(
    request: TextToImage, store: Store, sources: Sequence[Prepared | GrowingSource]
) -> tuple[PreparedImagePrompt, ...]:
    """The units of a resolved request whose file is an IP-Adapter.

    Raises InvalidRequest (NoFace where a face is needed), UnknownModel for a file that is not there, and
    UnknownArchitecture for an adapter of a kind that is not drawn with here.
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
    encoder, seen = _seen(unit, file, layout, store, sources)
    sizes = {(one.width, one.height) for one in request.passes()} if unit.region else set()
    regions = {size: region_of(unit, size) for size in sizes}
    return PreparedImagePrompt(unit, file, layout, encoder, seen, regions, _names_lora(request.prompt, file))


def _names_lora(prompt: str, file: ModelFile) -> bool:
    """Whether a prompt names the adapter's LoRA: its own, or one of FaceID's by its name."""
    names = [one.strip().lower() for one in _TAG.findall(prompt)]
    return any(one == file.stem.lower() or "faceid" in re.sub("[ _-]", "", one) for one in names)


def _seen(
    unit: ControlUnit,
    file: ModelFile,
    layout: ImagePromptLayout,
    store: Store,
    sources: Sequence[Prepared | GrowingSource],
) -> tuple[ModelFile | None, tuple[SeenPictures, ...]]:
    """The image encoder, where there is one, and what is read of each source's pictures."""
    encoder, side, files = None, 0, None
    if layout.reads:
        encoder, vision = find_image_encoder(store, file, layout)
        side = vision.image_size
    if layout.face:
        # Only here: it brings torch, and requests are checked before that is imported.
        from easel.studio.engine.control_models.face_vectors import face_files, face_vectors

        files = face_files(layout, file, store)
    found = []
    for images in _pictures(unit, sources):
        views = np.stack([clip_view(image, side) for image in images]) if encoder is not None else None
        if files is None:
            found.append(SeenPictures(views))
        else:
            faces = face_vectors(layout, files, images, unit.resolution)
            found.append(SeenPictures(views, faces.numbers, faces.crowded))
    return encoder, tuple(found)


def _pictures(unit: ControlUnit, sources: Sequence[Prepared | GrowingSource]) -> list[list[Image.Image]]:
    """The unit's own pictures, or those that are drawn over, one for each."""
    files = [one for one in (unit.image, *unit.more_images) if one]
    if files:
        return [[flattened(opened("controlnet.image", one)) for one in files]]
    if not sources:
        raise InvalidRequest("controlnet.image", allowed.NOTHING, allowed.PICTURE_FOR_EACH_UNIT)
    return [[drawn_over(one).convert("RGB")] for one in as_seen(sources)]
