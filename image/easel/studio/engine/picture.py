"""One picture under way: whose it is, what it asks of the device next, and how far it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import structlog
import torch
from PIL import Image

from easel.models import ModelFile
from easel.studio.engine.calls.deep_cache import deep_kept, shallow_call
from easel.studio.engine.calls.device_calls import (
    BackboneCall,
    DeviceCall,
    OtherCheckpoint,
    UpscaleCall,
    VaeCall,
)
from easel.studio.engine.calls.run import Run, as_written
from easel.studio.engine.control_models.control_residuals import control_inputs
from easel.studio.engine.control_models.image_prompt_attention import image_prompts_at_work
from easel.studio.engine.control_models.lite_control import lite_controls_at_work
from easel.studio.engine.control_models.reference_attention import references_at_work
from easel.studio.engine.course import Course
from easel.studio.engine.latents.tiling import edges_meet
from easel.studio.engine.pipeline import Pipeline, draw, finish
from easel.studio.engine.queue.job import Job
from easel.studio.engine.serving import Serving

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Picture:
    """A picture that waits or is being drawn.

    Its pipeline says what is to be done, one call of the device after another: `call` is the next, None
    before it begins and when `image` is there.
    """

    job: Job
    index: int
    waiting_since: float = field(default_factory=time.monotonic)
    partial: bool = False
    call: DeviceCall | None = None
    image: Image.Image | None = None
    seen_size: torch.Size | None = None
    """Latents of the size whose time was looked at last."""

    def __post_init__(self) -> None:
        self.course = Course(self.job, self.index)
        self._pipeline: Pipeline | None = None
        given = self.job.watcher.answers(self.index) if self.job.watcher else ()
        self._given = deque(given)
        self._kept = len(given)
        self._kept_at = 0.0
        self._unkept: list[torch.Tensor] = []
        self._to_keep = 0
        """So many of these lead to where another process can go on: with a cache to a call of the whole UNet,
        for what its deep part made is not kept."""

    @property
    def owner(self) -> str:
        """Whose picture this is."""
        return self.job.owner

    @property
    def checkpoint(self) -> ModelFile | None:
        """The checkpoint that it is drawn with next; None where any will do, or none: it is not drawn."""
        return self.call.file if isinstance(self.call, OtherCheckpoint) else self.job.checkpoint

    @property
    def kind(self) -> Hashable:
        """What has to be equal for pictures to share a call of the device."""
        assert isinstance(self.call, BackboneCall | VaeCall | UpscaleCall)  # noqa: S101 - asked of those under way only
        return self.call.kind

    @property
    def cost(self) -> int:
        """The work of the next call, in latent pixels."""
        assert isinstance(self.call, BackboneCall | VaeCall | UpscaleCall)  # noqa: S101 - asked of those under way only
        return self.call.cost

    def begin(self, serving: Serving | None) -> None:
        """Take the course up, or on with the checkpoint that was asked for, up to the first call."""
        if serving is not None:
            self.course.take(serving)
        if self._pipeline is None:
            self._pipeline = draw(self.course)
            self._kept_at = time.monotonic()
        self._go_on(None)

    def answer(self, answer: Any) -> None:
        """The call was made, and this came of it: go on to the next."""
        if self.job.watcher is not None and isinstance(self.call, BackboneCall):
            if self.call.cache is not None and not self.call.shallow:
                self._to_keep = len(self._unkept)
            # as the backbone computes: half of the size where it does so in half precision, and nothing is
            # lost
            self._unkept.append(answer.to(self.course.now().checkpoint.dtype))
            if self.job.request.cache_every == 1:
                self._to_keep = len(self._unkept)
        self._go_on(answer)

    def tell_reached(self) -> None:
        """Have what the backbone answered kept, where much was done since it was."""
        now, watcher = time.monotonic(), self.job.watcher
        if watcher is None or not self._to_keep or now - self._kept_at < watcher.keep_every:
            return
        told = self._unkept[: self._to_keep]
        watcher.reached(self.index, self._kept, [one.cpu() for one in told])
        self._kept, self._kept_at = self._kept + len(told), now
        del self._unkept[: self._to_keep]
        self._to_keep = 0

    def stop_here(self) -> None:
        """Finish with what is there by now (A1111's interrupt); what is being finished goes on."""
        if self.course.drawing and self._pipeline is not None and self.course.estimate is not None:
            self._pipeline.close()
            self._pipeline = finish(self.course, self.course.estimate)
            self.partial = True
            self._go_on(None)

    def _go_on(self, answer: Any) -> None:
        self._send(answer)
        while self._given and isinstance(self.call, BackboneCall):
            given, shape = self._given.popleft(), (self.call.rows, *self.call.latents.shape[1:])
            if given.shape != shape:
                log.warning("answers are another picture's", job=self.job.id, index=self.index)
                self._given.clear()
                return
            self._send(given.to(self.call.latents))

    def _send(self, answer: Any) -> None:
        assert self._pipeline is not None  # noqa: S101 - see `begin`
        try:
            self.call = self._pipeline.send(answer)
        except StopIteration as end:
            self.call, self.image = None, end.value


def call_unet(
    unet: Any, calls: list[BackboneCall], dtype: torch.dtype, run: Run = as_written
) -> list[torch.Tensor]:
    """One call of the backbone for those of one kind. Returns the output for each, float32."""
    latents = torch.cat([one.latents.expand(one.rows, -1, -1, -1) for one in calls]).to(dtype)
    timesteps = torch.stack([one.timestep for one in calls for _ in range(one.rows)]).to(latents.device)
    tokens = torch.cat([one.tokens for one in calls])
    plain = latents
    if calls[0].extra is not None:
        extra = [one.extra.expand(one.rows, -1, -1, -1) for one in calls if one.extra is not None]
        latents = torch.cat([latents, torch.cat(extra).to(dtype)], dim=1)
    added: dict[str, Any] = {}
    if calls[0].added:
        added["added_cond_kwargs"] = {
            name: torch.cat([one.added[name] for one in calls]) for name in calls[0].added
        }
    tiling, size = calls[0].tiling, (latents.shape[-2], latents.shape[-1])
    shown_to = [one.controls for one in calls]
    controls = control_inputs(shown_to, plain, timesteps, tokens, added, tiling=tiling)
    prompts = [one.image_prompts for one in calls]

    def see(shown: torch.Tensor, **more: Any) -> torch.Tensor:
        found: torch.Tensor = run(
            unet, shown, timesteps, encoder_hidden_states=tokens, return_dict=False, **added, **more
        )[0]
        return found

    references = [one.references for one in calls]
    features = [one.features for one in calls if one.features is not None]
    with (
        edges_meet(unet, tiling),
        deep_kept(unet, calls),
        image_prompts_at_work(unet, prompts, size),
        references_at_work(unet, references, latents.shape[1] - plain.shape[1], see),
    ):
        if features:
            output = shallow_call(unet, latents, timesteps, tokens, torch.cat(features), added)
        else:
            with lite_controls_at_work(unet, shown_to, size):
                output = see(latents, **controls)
    return list(torch.split(output.float(), [one.rows for one in calls]))
