"""How far a picture is, and what its pipeline has at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from easel.studio.engine.job import Job
from easel.studio.engine.request import TextToImage

if TYPE_CHECKING:
    from easel.studio.engine.serving import Serving


class Course:
    """One picture of a job on its way.

    `position` UNet calls of about `calls` are done; `estimate` is what the latents would be by the last one,
    (1, channels, height/8, width/8), None before the first. `drawing`: there are calls to make yet. `vae` is
    what it is decoded with, held from the beginning to the end, so that a file that is taken away meanwhile
    stays.
    """

    def __init__(self, job: Job, index: int) -> None:
        self.job = job
        self.index = index
        self.position = 0
        self._expected = [one.calls for one in job.request.passes()]
        self.calls = sum(self._expected)
        self.estimate: torch.Tensor | None = None
        self.drawing = True
        self.vae: Any = None
        self.serving: Serving | None = None
        self._pass = (0, self.calls, job.request.steps)

    @property
    def request(self) -> TextToImage:
        """What is asked for."""
        return self.job.request

    @property
    def seed(self) -> int:
        """A1111's rule: the request's seed plus the picture's number, unless a subseed varies one seed."""
        request = self.request
        return request.seed if request.subseed_strength else request.seed + self.index

    @property
    def subseed(self) -> int:
        """The variation seed of this picture."""
        return self.request.subseed + self.index

    def take(self, serving: Serving) -> None:
        """From now on it is drawn with this checkpoint. Raises a FileError for a VAE that cannot be used.

        A VAE that cannot be read should say so before the work.
        """
        self.serving = serving
        self.vae = serving.vaes.get(self.job.vae)

    def leave(self) -> None:
        """Let go of the checkpoint: while it waits for another, nothing of it may be held in memory."""
        self.serving = self.vae = None

    def begin_pass(self, calls: int, steps: int) -> None:
        """A way through the sampler begins: so many UNet calls for so many steps."""
        self.calls += calls - (self._expected.pop(0) if self._expected else 0)
        self._pass = (self.position, calls, steps)

    @property
    def left(self) -> int:
        """UNet calls until it is there, about."""
        return max(0, self.calls - self.position)

    @property
    def step(self) -> int:
        """Sampler steps done of this pass: second-order samplers make two calls for one."""
        begun, calls, steps = self._pass
        return (self.position - begun) * steps // calls if calls else steps

    @property
    def steps(self) -> int:
        """Sampler steps of this pass."""
        return self._pass[2]
