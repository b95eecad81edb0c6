"""Networks beside the checkpoint that a job may want on its way: upscalers, faces, what puts pictures into
words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from easel.models import ModelFile
from easel.studio.engine.faces.face_models import FaceModels
from easel.studio.engine.interrogation.models import InterrogatorModels
from easel.studio.engine.memory.device_memory import TooLarge
from easel.studio.engine.picture import Picture
from easel.studio.engine.upscaling.upscaler_models import UpscalerModels


class SmallNetworks:
    """Those at hand on one device. Used from the engine's thread only.

    `free_something` has the device let go of something that nobody draws with; whether there was any.
    """

    def __init__(self, device: torch.device, free_something: Callable[[], bool]) -> None:
        self._upscalers, self._faces = UpscalerModels(device), FaceModels(device)
        self._interrogators = InterrogatorModels(device)
        self._free_something = free_something

    def give(self, picture: Picture) -> None:
        """Have at hand what the picture's job names. Raises a FileError."""
        job, course = picture.job, picture.course
        course.upscalers = {name: self._upscalers.get(file) for name, file in job.upscalers.items()}
        course.faces = self._faces.get(job.faces)
        course.interrogator = self._interrogator(job.interrogator)
        course.ranker = self._interrogator(job.ranked_words.file if job.ranked_words else None)

    def clear(self) -> bool:
        """Forget all of them; whether there were any."""
        return any([self._upscalers.clear(), self._faces.clear(), self._interrogators.clear()])

    def _interrogator(self, file: ModelFile | None) -> Any:
        """As large as half a checkpoint: what nobody draws with makes room."""
        while True:
            try:
                return self._interrogators.get(file)
            except TooLarge:
                if not self._free_something():
                    raise
