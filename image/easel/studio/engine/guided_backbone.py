"""The backbone as a sampler asks it: for each text of a picture, guided to one answer, and by the mask.

Guidance is classifier-free (Ho and Salimans, arXiv 2207.12598), over several weighted texts composable
diffusion (Liu et al., arXiv 2206.01714), by A1111's formula: uncond + cfg · Σ wᵢ (condᵢ - uncond).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image

from easel.models import ModelFile
from easel.studio.engine.calls.deep_cache import DeepCache
from easel.studio.engine.calls.device_calls import BackboneCall, DeviceCall, OtherCheckpoint, VaeCall
from easel.studio.engine.calls.guidance import without_negative
from easel.studio.engine.control_models.kept_colours import KeptColours, keeps_colours, pixels_of
from easel.studio.engine.control_models.reference_pass import ReferenceOfPass, for_vae
from easel.studio.engine.course import Course
from easel.studio.engine.latents.latent_mask import LatentMask
from easel.studio.engine.prompts.composition import negative_counts
from easel.studio.engine.sampling.ask import Answer, Ask
from easel.studio.engine.sampling.denoiser import Denoiser
from easel.studio.engine.sampling.plan import SamplingPlan
from easel.studio.engine.sampling.samplers import Sampler
from easel.studio.engine.serving import Serving
from easel.studio.engine.texts.conditioning_schedule import ConditioningSchedule, Guidance
from easel.studio.engine.texts.micro_conditioning import added_conditions, told_guidance
from easel.studio.engine.texts.text_encoding import HowToEncode
from easel.studio.engine.transformers.patches import folded
from easel.studio.engine.transformers.qwen_image import rescaled
from easel.studio.families import Family

# Of an answer at the very end of the noise, that says nothing more of the latents.
_LEAST_SLOPE = 1e-6


@dataclass(frozen=True)
class Texts:
    """What one pass is drawn from; `first_steps` are the first pass's where this is the second. `pictures`
    are looked at while the texts are read."""

    prompt: str
    negative_prompt: str
    cfg_scale: float
    first_steps: int | None = None
    pictures: tuple[Image, ...] = ()


class GuidedBackbone:
    """Answers one pass of one picture, call by call."""

    def __init__(
        self,
        course: Course,
        texts: Texts,
        sampler: Sampler,
        plan: SamplingPlan,
        size: tuple[int, int],
        *,
        mask: LatentMask | None = None,
        extra: torch.Tensor | None = None,
        refiner: ModelFile | None = None,
        shown: tuple[torch.Tensor, ...] = (),
    ) -> None:
        """`size` is the pass's width and height in pixels; `extra` the inpainting channels of a checkpoint
        that takes some; `refiner` the file that goes on from where the request says; `shown` are latents of
        pictures that the network looks at, of one that edits."""
        self._course, self._texts, self._sampler = course, texts, sampler
        self._plan, self._size = plan, size
        self._mask, self._extra, self._refiner, self._shown = mask, extra, refiner, shown
        self._call = 0
        self._added: tuple[Guidance, dict[str, torch.Tensor]] | None = None
        self._take()

    def _take(self) -> None:
        serving = self._course.now()
        self._denoiser: Denoiser = self._plan.denoiser.on(serving.levels(self._size, self._plan.steps))
        self._schedule: ConditioningSchedule = conditioning(
            serving, self._course, self._texts, self._sampler, self._plan.prompt_steps
        )
        job, second = self._course.job, self._texts.first_steps is not None
        self._colours: list[KeptColours] = []
        self._to_encode = [one for one in job.controls if keeps_colours(one, second_pass=second)]
        place = self._course.source_index, self._size
        faces = serving.image_prompts.identities(job.image_prompts, self._course.source_index)
        self._controls = serving.control_models.of_pass(
            job.controls, *place, second_pass=second, identities=faces
        )
        self._references: list[ReferenceOfPass] = []
        self._to_refer_to = [one for one in job.references if one.unit.controls(second_pass=second)]
        self._image_prompts = serving.image_prompts.of_pass(job.image_prompts, *place, second_pass=second)
        # a sampler whose steps follow the answers would follow what the cache leaves out
        self._cache: DeepCache | None = None
        flow = serving.checkpoint.family.flow
        if (every := job.request.cache_every) > 1 and not self._sampler.adaptive and flow is None:
            self._cache = DeepCache(serving.checkpoint.backbone, serving.checkpoint.dtype, every)

    def answer(self, ask: Ask) -> Generator[DeviceCall, Any, Answer]:
        """The answer to what a method asks; asks the device itself."""
        if self._refiner is not None and self._refined_from_here(self._refiner, ask.level):
            yield from self._go_on_with(self._refiner)
            self._refiner = None
        if self._mask is not None and self._sampler.by_timestep:
            ask = ask._replace(latents=self._mask.kept(ask.latents))
        guidance = self._guidance(ask)
        yield from self._take_colours()
        yield from self._take_references()
        yield from self._take_extra(*ask.latents.shape[-2:])
        output = yield self._backbone_call(ask, guidance)
        output = self._with_colours(ask, output, len(guidance.weights))
        answer = self._denoiser.answer(ask, *self._guided(output, guidance))
        if self._mask is not None and not self._sampler.by_timestep:
            answer = answer._replace(guided=self._mask.denoised(answer.guided, ask.level))
        self._call += 1
        self._course.position += 1
        self._course.estimate = self._denoiser.estimate(ask, answer)
        return answer

    def _take_colours(self) -> Generator[DeviceCall, Any, None]:
        """The latents of the pictures whose colours are kept, before the first call."""
        course = self._course
        while self._to_encode:
            control = self._to_encode.pop(0)
            latents = yield self._encoding(pixels_of(control, course.source_index, self._size))
            self._colours.append(KeptColours(control, latents))

    def _take_references(self) -> Generator[DeviceCall, Any, None]:
        """The latents of the pictures that are referred to, before the first call."""
        course, second = self._course, self._texts.first_steps is not None
        family = course.now().checkpoint.family
        while self._to_refer_to:
            one = self._to_refer_to.pop(0)
            latents = yield self._encoding(for_vae(one.pixels(course.source_index, self._size)))
            # behind the seed: its own noise is the picture's
            seed = course.seed + 1 + len(self._references)
            self._references.append(
                ReferenceOfPass(one.unit, latents, family.architecture, seed, second_pass=second)
            )

    def _take_extra(self, rows: int, columns: int) -> Generator[DeviceCall, Any, None]:
        """Mask and masked picture of a checkpoint that takes them, before the first call: where nothing is
        masked, all is, over plain grey."""
        serving = self._course.now()
        if self._extra is not None or not serving.inpaints:
            return
        family = serving.checkpoint.family
        scale, level = family.downscale, 0.5 if family.flow is None else 0.0
        # A1111's grey is one of 0 to 1 where -1 to 1 is meant
        grey = torch.full((1, 3, rows * scale, columns * scale), level)
        latents = yield self._encoding(grey)
        self._extra = masked_channels(latents, torch.ones_like(grey[:, :1]).to(latents), family)

    def _encoding(self, pixels: torch.Tensor) -> VaeCall:
        course = self._course
        return course.through_vae("encode", pixels.to(course.now().checkpoint.device))

    def _with_colours(self, ask: Ask, output: torch.Tensor, positive: int) -> torch.Tensor:
        """The backbone's answer moved so that what it takes the latents to be has the colours that are
        kept."""
        for colours in (one for one in self._colours if one.at_work(self._done())):
            rows = self._estimates(ask, output)
            # what the answer says of the latents is in proportion to it, whatever it predicts
            slope = self._estimates(ask, torch.ones_like(output)) - self._estimates(ask, output * 0)
            if bool((slope.abs() > _LEAST_SLOPE).all()):
                output = output + colours.moved(rows, positive) / slope
        return output

    def _estimates(self, ask: Ask, output: torch.Tensor) -> torch.Tensor:
        """The finished latents by each row of the backbone's answer."""
        return self._denoiser.estimate(ask, self._denoiser.answer(ask, output, output))

    def _guidance(self, ask: Ask) -> Guidance:
        """The texts of this call; without the negative ones where A1111 leaves them out to save time."""
        guidance = self._schedule.at(self._call)
        settings, steps = self._course.request.sampling, self._plan.guidance_steps
        if self._sampler.needs_unguided or not without_negative(settings, self._call, steps, ask.level):
            return guidance
        return guidance.without_negative

    def _backbone_call(self, ask: Ask, guidance: Guidance) -> BackboneCall:
        course, serving = self._course, self._course.now()
        seen = self._denoiser.unet_input(ask)
        family = serving.checkpoint.family
        controls = [one for one in self._controls if one.at_work(self._done())]
        prompts = [one for one in self._image_prompts if one.at_work(self._done())]
        references = [one for one in self._references if one.at_work(self._done())]
        loras = course.loras_of_step
        # what works beside changes the deep part from call to call, each in its way: then all of it runs
        cache = None if controls or prompts or references else self._cache
        features = cache.for_call(self._call, guidance, loras) if cache is not None else None
        rows = len(guidance.tokens), len(guidance.weights)
        # a picture that is looked at is looked at by all rows of the call
        alone = course.request.exact or self._sampler.adaptive or bool(self._shown)
        timestep = self._denoiser.timestep(ask.level)
        return BackboneCall(
            latents=seen,
            timestep=torch.tensor(timestep, dtype=torch.float32),
            guidance=guidance,
            added=self._added_to(guidance),
            extra=self._extra if serving.inpaints else None,
            alone=alone,
            tiling=course.request.tiling,
            controls=tuple(one.of_call(*rows) for one in controls),
            image_prompts=tuple(one.of_call(*rows) for one in prompts),
            references=tuple(one.of_call(serving.noise_levels, timestep, *rows) for one in references),
            loras=loras,
            cache=cache,
            features=features,
            shown=self._shown,
            kind=(
                family.name,
                tuple(seen.shape),
                tuple(guidance.tokens.shape),
                str(serving.checkpoint.dtype),
                course.request.tiling,
                tuple(one.kind for one in controls),
                tuple(one.kind for one in prompts),
                alone,
                tuple(one.kind for one in references),
                features is not None,
            ),
        )

    def _added_to(self, guidance: Guidance) -> dict[str, torch.Tensor]:
        """The same tensors while the texts are the same: what is new each time waits for the device."""
        if self._added is None or self._added[0] is not guidance:
            family, request = self._course.now().checkpoint.family, self._course.request
            if family.flow is None:
                added = added_conditions(family, guidance, self._size)
            else:
                added = told_guidance(family.flow, guidance, request.distilled_guidance)
            self._added = guidance, added
        return self._added[1]

    def _done(self) -> float:
        """The share of the pass's steps that are done, as A1111 counts them."""
        steps, calls = max(1, self._plan.steps), max(1, self._plan.calls)
        return min(1.0, self._call * steps // calls / steps)

    def _guided(self, output: torch.Tensor, guidance: Guidance) -> tuple[torch.Tensor, torch.Tensor]:
        """Guided, and by the negative prompt alone."""
        weights, scale = guidance.weights, self._texts.cfg_scale * self._sampler.cfg_scale
        rows = torch.split(output, 1)
        # without a negative prompt the first text stands for it, as in A1111: alone, it is the answer
        negative, positive = rows[0], rows[-len(weights) :]
        guided = negative
        for weight, one in zip(weights, positive, strict=True):
            guided = guided + scale * weight * (one - negative)
        flow = self._course.now().checkpoint.family.flow
        if flow is not None and flow.rescales and len(rows) > len(weights):
            guided = rescaled(guided, positive[0])
        return guided, negative

    def _refined_from_here(self, file: ModelFile, level: float) -> bool:
        """A1111's rule: by the timestep, of which the whole way from noise has 1000; and by another file."""
        refiner = self._course.request.refiner
        assert refiner is not None  # noqa: S101 - there is its file
        done = (999 - round(self._denoiser.timestep(level))) / 1000
        return done >= refiner.switch_at and file != self._course.now().checkpoint.file

    def _go_on_with(self, file: ModelFile) -> Generator[DeviceCall, Any, None]:
        """Another checkpoint from here. Until it serves, nothing of this one is held."""
        del self._denoiser, self._schedule, self._controls, self._image_prompts, self._colours
        del self._references, self._cache
        self._added = None
        self._course.leave()
        yield OtherCheckpoint(file)
        self._take()


def masked_channels(masked: torch.Tensor, anew: torch.Tensor, family: Family) -> torch.Tensor:
    """What an inpainting network takes beside the latents: the mask `anew` (1, 1, pixels), and the latents of
    what it leaves; a transformer these first, and of the mask every pixel."""
    if family.flow is not None:
        return torch.cat([masked, folded(anew, family.downscale)], dim=1)
    return torch.cat([torch.nn.functional.interpolate(anew, masked.shape[-2:]), masked], dim=1)


def conditioning(
    serving: Serving, course: Course, texts: Texts, sampler: Sampler, steps: int
) -> ConditioningSchedule:
    """All that a pass attends to, encoded with the LoRAs at work. Raises InvalidRequest."""
    request, job = course.request, course.job
    how = HowToEncode(
        request.clip_skip,
        request.sdxl_clip_l_skip,
        serving.embeddings_of(job, course.asked),
        tuple(use.in_text_encoders for use in course.loras if use.te),
        request.emphasis,
        pictures=texts.pictures,
    )
    counts = sampler.needs_unguided or negative_counts(texts.prompt, texts.cfg_scale * sampler.cfg_scale)
    first, second = (steps, None) if texts.first_steps is None else (texts.first_steps, steps)
    negative = texts.negative_prompt if counts else None
    with serving.adapters.at_work(course.loras):
        schedule = serving.encoder.schedule(texts.prompt, negative, how, steps=first, hires_steps=second)
    for words in schedule.notes:
        job.note(words)
    return schedule
