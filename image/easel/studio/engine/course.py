"""How far a picture is, and what its pipeline has at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from easel.studio.engine.calls.device_calls import VaeCall
from easel.studio.engine.imaging import Prepared
from easel.studio.engine.networks.extra_networks import Asked, LoraUse
from easel.studio.engine.queue.job import Job
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.source_image import GrowingSource

if TYPE_CHECKING:
    from easel.studio.engine.faces.face_models import LoadedFaces
    from easel.studio.engine.interrogation.captioner import Captioner
    from easel.studio.engine.interrogation.ranker import Ranker
    from easel.studio.engine.interrogation.tagger import Tagger
    from easel.studio.engine.latents.latent_mask import LatentMask
    from easel.studio.engine.sampling.plan import SamplingPlan
    from easel.studio.engine.serving import Serving


class Course:
    """One picture of a job on its way.

    `position` backbone calls of about `calls` are done; `estimate` is what the latents would be by the last
    one, (1, channels, height/8, width/8), None before the first. `drawing`: there are calls to make yet.
    `asked` is what the prompts of this pass ask for, `prompt_steps` the steps that prompt editing counts in
    it. `vae` is what it is decoded with, held from the beginning to the end, so that a file that is taken
    away meanwhile stays. `mask` is what is kept of the source's latents. `upscalers` are the models of those
    that the job names, held as `vae` is, `faces` what restores faces, `interrogator` what puts it into words,
    `ranker` what finds words of lists that fit it.
    `enlarged` (0 to 1) is how much is done of the pass of one of them under way.
    """

    def __init__(self, job: Job, index: int) -> None:
        self.job = job
        self.index = index
        self.position = 0
        self._expected = [one.calls for one in job.request.passes()]
        self.calls = sum(self._expected)
        self.estimate: torch.Tensor | None = None
        self.drawing = True
        self.prompts = job.prompts[index % len(job.prompts)]
        self.asked: Asked = self.prompts.first
        self.mask: LatentMask | None = None
        self.vae: Any = None
        self.upscalers: Mapping[str, Any] = {}
        self.faces: LoadedFaces | None = None
        self.interrogator: Captioner | Tagger | None = None
        self.ranker: Ranker | None = None
        self.enlarged = 0.0
        self._serving: Serving | None = None
        self.prompt_steps = job.request.steps
        self._pass = (0, self.calls, job.request.steps)

    @property
    def request(self) -> TextToImage:
        """What is asked for."""
        return self.job.request

    @property
    def seed(self) -> int:
        """The seed of this picture."""
        return self.request.seed_of(self.index)

    @property
    def subseed(self) -> int:
        """The variation seed of this picture."""
        return self.request.subseed + self.index

    def take(self, serving: Serving) -> None:
        """From now on it is drawn with this checkpoint. Raises a FileError for a VAE that cannot be used.

        A VAE that cannot be read should say so before the work.
        """
        self._serving = serving
        self.vae = serving.vaes.get(self.job.vae)

    def leave(self) -> None:
        """Let go of the checkpoint: while it waits for another, nothing of it may be held in memory."""
        self._serving = self.vae = None

    def now(self) -> Serving:
        """The checkpoint that it is drawn with."""
        assert self._serving is not None  # noqa: S101 - taken before the pipeline goes on
        return self._serving

    def through_vae(self, way: str, given: torch.Tensor) -> VaeCall:
        """Its way through the VAE: "decode" latents, "encode" pixels."""
        request, checkpoint = self.request, self.now().checkpoint
        return VaeCall(
            way, given, self.vae, self.job.vae, checkpoint.family.downscale,
            tiling=request.tiling, exact=request.exact,
        )  # fmt: skip

    @property
    def loras(self) -> tuple[LoraUse, ...]:
        """Those at work in this pass."""
        return self.asked.loras

    @property
    def loras_of_step(self) -> tuple[LoraUse, ...]:
        """Those at work in the backbone in this step."""
        return tuple(one for one in self.loras if one.unet and one.limits.at_work(self.step, self.steps))

    @property
    def source(self) -> Prepared | GrowingSource:
        """The picture that this one is drawn over: one for all, or one for each of a batch."""
        return self.job.sources[self.source_index]

    def prepared(self) -> Prepared:
        """The same, ready to be drawn over."""
        assert isinstance(self.source, Prepared)  # noqa: S101 - the pipeline begins with making it so
        return self.source

    def keep_prepared(self, prepared: Prepared) -> None:
        """The source is ready, for all pictures that are drawn over it."""
        self.job.sources[self.source_index] = prepared

    @property
    def source_index(self) -> int:
        """The number of that source; 0 where there is none."""
        return self.index % self.request.batch_size % max(1, len(self.job.sources))

    def begin_pass(self, plan: SamplingPlan) -> None:
        """A way through the sampler begins."""
        self.calls += plan.calls - (self._expected.pop(0) if self._expected else 0)
        self.prompt_steps = plan.prompt_steps
        self._pass = (self.position, plan.calls, plan.steps)

    @property
    def left(self) -> int:
        """Backbone calls until it is there, about."""
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
