"""Faces of a picture looked for, and restored one by one, so that others get their turn between them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from easel.studio.engine.faces.face_detector import face_areas, find_faces
from easel.studio.engine.faces.face_models import LoadedFaces
from easel.studio.engine.imaging.face_alignment import alignment, cut_face, with_face
from easel.studio.engine.imaging.face_areas import FaceArea
from easel.studio.engine.observer import CallKind

# A UNet of SD 1.5 does 0.2 gigaflops for one latent pixel; looking for faces takes 170, restoring one 200.
_COST = 1000


class FaceSearch:
    """Where the faces of one picture are; `areas` is there once it is through."""

    words = "face detector"
    calls: CallKind = "face_detector"
    cost = _COST
    share = 0.0

    def __init__(self, image: Image.Image, models: LoadedFaces, sure: float) -> None:
        self.areas: list[FaceArea] = []
        self._image, self._models, self._sure = image, models, sure

    def go_on(self) -> Image.Image:
        """Look for them. Returns the picture as it came."""
        self.areas = face_areas(self._models.detector, self._image.convert("RGB"), self._sure)
        return self._image


class FaceRun:
    """The faces of one picture."""

    words = "face restorer"
    calls: CallKind = "face_restorer"
    cost = _COST

    def __init__(self, image: Image.Image, models: LoadedFaces, visibility: float) -> None:
        self._alpha = image.getchannel("A") if image.mode == "RGBA" else None
        self._image = image.convert("RGB")
        self._models, self._visibility = models, visibility
        self._faces: list[NDArray[np.float64]] | None = None
        self._done = 0

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 0.0 if self._faces is None else (1 + self._done) / (1 + len(self._faces))

    def go_on(self) -> Image.Image | None:
        """Look for the faces, or restore the next. Behind the last the picture, RGB or RGBA as it came."""
        if self._faces is None:
            self._faces = find_faces(self._models.detector, self._image)
        else:
            self._restore(self._faces[self._done])
            self._done += 1
        if self._done < len(self._faces):
            return None
        if self._alpha is not None:
            self._image.putalpha(self._alpha)
        return self._image

    def _restore(self, landmarks: NDArray[np.float64]) -> None:
        matrix = alignment(landmarks)
        face = np.asarray(cut_face(self._image, matrix), np.float32) / 255
        found = self._models.restored(torch.from_numpy(face).permute(2, 0, 1)[None])
        pixels = (found[0].permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
        self._image = with_face(self._image, Image.fromarray(pixels), matrix, self._visibility)
