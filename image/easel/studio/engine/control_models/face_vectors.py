"""Faces of pictures as numbers, for the adapters that draw by them: InsightFace's networks, run where a
request is taken, as A1111's ControlNet extension runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from easel.models import Kind, ModelFile, Store
from easel.remark import remark
from easel.studio.engine.control.face_points import largest
from easel.studio.engine.control.preprocessors import at_resolution
from easel.studio.engine.control_models.annotator_files import FACE_ID, INSTANT_ID, AnnotatorFile
from easel.studio.engine.control_models.annotators import drawn_out, networks_at_work
from easel.studio.engine.control_models.image_prompt_layout import ImagePromptLayout
from easel.studio.engine.errors import InvalidRequest, NoFace

Files = dict[ModelFile, AnnotatorFile]


class FaceVectors(NamedTuple):
    """(pictures, 512): the largest face of each, and which of the pictures show more than one."""

    numbers: NDArray[np.float32]
    crowded: tuple[int, ...]


def face_files(layout: ImagePromptLayout, file: ModelFile, store: Store) -> Files:
    """The networks that read faces for this adapter. Raises InvalidRequest that says which are missing."""
    needed = INSTANT_ID if layout.kind == "instant" else FACE_ID
    found = {one: one.first(store) for one in needed}
    missing = [one.named for one, there in found.items() if there is None]
    if missing:
        words = "an adapter whose networks for faces are in {folder}: this one needs {file}"
        raise InvalidRequest(
            "controlnet.model",
            file.name,
            remark(
                "needs_face_network",
                words,
                folder=f"models/{Kind.IMAGE_ENCODER.folder}",
                file=", ".join(missing),
            ),
        )
    return {there: one for one, there in found.items() if there is not None}


def face_vectors(
    layout: ImagePromptLayout, files: Files, images: Sequence[Image.Image], resolution: int
) -> FaceVectors:
    """Of RGB pictures. `resolution` is the shorter side at which InstantID's are looked at, in pixels.

    Raises NoFace, and a FileError for a network that cannot be used.
    """
    found, crowded = [], []
    with networks_at_work(files) as (points, identity):
        for number, image in enumerate(images):
            pixels = np.array(image)
            if layout.kind == "instant":
                pixels = drawn_out(at_resolution(image, resolution))
            shown = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            faces = points.faces(shown)
            face = largest(faces)
            if face is None:
                raise NoFace(number + 1, len(images))
            if len(faces) > 1:
                crowded.append(number)
            found.append(identity.vector(shown, face.points))
    numbers = np.stack(found)
    if layout.normalised:
        numbers = numbers / np.maximum(np.linalg.norm(numbers, axis=1, keepdims=True), 1e-12)
    return FaceVectors(numbers, tuple(crowded))
