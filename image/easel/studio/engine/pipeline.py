"""How a picture comes about: A1111's order of work, as a generator of calls to the device.

Whoever drives a pipeline makes the calls that it yields, in company of others' where they are alike, and
sends back the answers. It returns the picture.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import torch
from PIL import Image

from easel.studio.engine.calls.device_calls import DeviceCall, OtherCheckpoint
from easel.studio.engine.course import Course
from easel.studio.engine.enlarging import Images, enlarge, enlarged_to, ready_source, with_faces
from easel.studio.engine.guided_backbone import GuidedBackbone, Texts, masked_channels
from easel.studio.engine.imaging import (
    LATENT_UPSCALE_MODES,
    MaskedContent,
    ResizeMode,
    latent_noise,
    latent_nothing,
    overlay_mask,
)
from easel.studio.engine.latents.latent_mask import LatentMask
from easel.studio.engine.noise import PictureNoise
from easel.studio.engine.requests.image_to_image import FoundNoise
from easel.studio.engine.requests.shown_pictures import fitted
from easel.studio.engine.sampling.plan import SamplingPlan, plan_backwards
from easel.studio.engine.sampling.plan import plan as plan_sampling
from easel.studio.engine.sampling.samplers import Sampler, of_flows, resolve

Pipeline = Images
_Latents = Generator[DeviceCall, Any, torch.Tensor]


def draw(course: Course) -> Pipeline:
    """The whole way of one picture."""
    if course.request.enlargement is not None:
        return (yield from enlarge(course, course.request.enlargement))
    if course.request.source is not None:
        latents = yield from _image_to_image(course)
    else:
        latents = yield from _text_to_image(course)
        if course.request.hires is not None:
            latents = yield from _hires_fix(course, latents)
    return (yield from finish(course, latents))


def finish(course: Course, latents: torch.Tensor) -> Pipeline:
    """From the latents, whole or interrupted, to the picture."""
    course.drawing = False
    decoded: Image.Image = yield course.through_vae("decode", latents)
    drawn = yield from with_faces(course, decoded, course.request.faces)
    source = course.request.source
    if source is None:
        return drawn
    prepared, mask = course.prepared(), course.mask
    soft = None
    if mask is not None and mask.soft is not None:
        original, finished = _array(mask.original[0]), _array(latents[0])
        soft = overlay_mask(mask.soft, _array(mask.share), original, finished, drawn.size)
    return prepared.finished(drawn, color_correction=source.color_correction, soft_mask=soft)


def _text_to_image(course: Course) -> _Latents:
    request = course.request
    size = request.width, request.height
    noise = _noise(course, size)
    sampler, plan = _plan(course, noise, size, request.sampler, request.schedule_type, request.steps)
    shown = yield from _looked_at(course)
    texts = Texts(
        course.asked.prompt, course.asked.negative_prompt, request.cfg_scale, pictures=course.job.shown
    )
    refiner = course.job.refiner if request.hires is None else None
    unet = GuidedBackbone(course, texts, sampler, plan, size, refiner=refiner, shown=shown)
    return (yield from _sampled(course, plan, unet, plan.start(noise.first()), noise))


def _image_to_image(course: Course) -> _Latents:
    request, source = course.request, course.request.source
    assert source is not None  # noqa: S101 - see `draw`
    size = request.width, request.height
    prepared = yield from ready_source(course)
    pixels = _pixels(course, prepared.image)
    latents = yield course.through_vae("encode", pixels)
    rows, columns = (
        side // course.now().checkpoint.family.downscale for side in (request.height, request.width)
    )
    if source.resize_mode is ResizeMode.LATENT_UPSCALE:
        latents = _interpolated(latents, (rows, columns), LATENT_UPSCALE_MODES["Latent"])
    flow = course.now().checkpoint.family.flow
    # as it is, whatever is put in the place of what is masked
    shown = (latents, *(yield from _looked_at(course))) if flow is not None and flow.edits else ()
    noise = _noise(course, size)
    share = prepared.latent_mask(columns, rows)
    if source.mask is not None and share is not None:
        anew = torch.from_numpy(share).to(latents.device)
        if source.mask.content is MaskedContent.LATENT_NOISE:
            latents = latent_noise(latents, anew, _noise(course, size, plain=True).first())
        elif source.mask.content is MaskedContent.LATENT_NOTHING:
            latents = latent_nothing(latents, anew)
        course.mask = LatentMask(latents, anew, source.mask.soft)
    extra = None
    if course.now().inpaints:
        extra = yield from _inpainting_channels(course, pixels, prepared.mask)
    found = None
    if source.found_noise is not None:
        found = yield from _found_noise(course, latents, source.found_noise, extra)
    sampler, plan = _plan(
        course, noise, size, request.sampler, request.schedule_type, request.steps, source.denoising_strength
    )
    texts = Texts(
        course.asked.prompt, course.asked.negative_prompt, request.cfg_scale,
        pictures=(prepared.image.convert("RGB"), *course.job.shown) if shown else (),
    )  # fmt: skip
    unet = GuidedBackbone(
        course, texts, sampler, plan, size,
        mask=course.mask, extra=extra, refiner=course.job.refiner, shown=shown,
    )  # fmt: skip
    first = noise.first() * source.noise_multiplier
    if found is not None:
        first = found - latents / course.now().noise_levels.sigma_max
    begun = plan.start_from(latents, first)
    drawn = yield from _sampled(course, plan, unet, begun, noise)
    return drawn if course.mask is None else course.mask.finished(drawn)


def _found_noise(
    course: Course, latents: torch.Tensor, asked: FoundNoise, extra: torch.Tensor | None
) -> _Latents:
    """The noise that leads to these latents, mixed with that of the next seed."""
    request = course.request
    size = request.width, request.height
    plan = plan_backwards(course.now().noise_levels, asked.steps, adjusted=asked.adjusted)
    texts = Texts(asked.prompt, asked.negative_prompt, asked.cfg_scale)
    unet = GuidedBackbone(course, texts, resolve("Euler", "Automatic")[0], plan, size, extra=extra)
    found = yield from _sampled(course, plan, unet, latents, _noise(course, size))
    other = asked.randomness
    random = _noise(course, size, plain=True, onward=1).first()
    mixed: torch.Tensor = ((1 - other) * found + other * random) / sqrt((1 - other) ** 2 + other**2)
    return mixed


def _hires_fix(course: Course, latents: torch.Tensor) -> _Latents:
    """Enlarge, in latents or in pixels, and draw over it with the same seed's noise."""
    request, hires = course.request, course.request.hires
    assert hires is not None  # noqa: S101 - see `draw`
    family = course.now().checkpoint.family
    scale, multiple = family.downscale, family.multiple
    across, down = (side // multiple * multiple for side in hires.upscaled(request.width, request.height))
    mode = LATENT_UPSCALE_MODES.get(hires.upscaler)
    if mode is not None:
        latents = _interpolated(latents, (down // scale, across // scale), mode)
    else:
        small: Image.Image = yield course.through_vae("decode", latents)
        latents = torch.empty(0)
    yield from _checkpoint(course, course.job.hires_checkpoint or course.job.drawn_with)
    if mode is None:
        large = yield from enlarged_to(course, small, hires.upscaler, across, down)
        latents = yield course.through_vae("encode", _pixels(course, large))
    course.asked = course.prompts.second
    width, height = (side // multiple * multiple for side in hires.size(request.width, request.height))
    size = width, height
    latents = _middle(latents, size[1] // scale, size[0] // scale)
    noise = _noise(course, size)
    sampler, plan = _plan(
        course,
        noise,
        size,
        hires.sampler or request.sampler,
        hires.schedule_type or request.schedule_type,
        hires.steps or request.steps,
        hires.denoising_strength,
        fixed_steps=True,
    )
    texts = Texts(
        course.asked.prompt,
        course.asked.negative_prompt,
        request.cfg_scale if hires.cfg_scale is None else hires.cfg_scale,
        first_steps=course.prompt_steps,
        pictures=course.job.shown,
    )
    shown = yield from _looked_at(course)
    unet = GuidedBackbone(course, texts, sampler, plan, size, refiner=course.job.refiner, shown=shown)
    return (yield from _sampled(course, plan, unet, plan.start_from(latents, noise.first()), noise))


def _looked_at(course: Course) -> Generator[DeviceCall, Any, tuple[torch.Tensor, ...]]:
    """The latents of the pictures that the model is to look at, beside a source."""
    found = []
    for image in course.job.shown:
        latents = yield course.through_vae(
            "encode", _pixels(course, fitted(image, course.now().checkpoint.family))
        )
        found.append(latents)
    return tuple(found)


def _sampled(
    course: Course, plan: SamplingPlan, unet: GuidedBackbone, latents: torch.Tensor, noise: PictureNoise
) -> _Latents:
    """Let the method walk, and answer what it asks."""
    course.begin_pass(plan)
    method = plan.run(latents, noise.next)
    try:
        ask = next(method)
        while True:
            answer = yield from unet.answer(ask)
            ask = method.send(answer)
    except StopIteration as end:
        done: torch.Tensor = end.value
        return done


def _checkpoint(course: Course, file: Any) -> Generator[DeviceCall, Any, None]:
    """Go on with this checkpoint. Until it serves, nothing of the one that did is held."""
    if course.now().checkpoint.file != file:
        course.leave()
        yield OtherCheckpoint(file)


def _inpainting_channels(course: Course, pixels: torch.Tensor, mask: Image.Image | None) -> _Latents:
    """Mask and masked picture, as an inpainting network takes them beside the latents."""
    weight = course.request.source.mask_weight if course.request.source is not None else 1.0
    anew = torch.ones_like(pixels[:, :1])
    if mask is not None:
        anew = torch.from_numpy(np.asarray(mask, np.float32) / 255).to(pixels)[None, None].round()
    outside = torch.lerp(pixels, pixels * (1 - anew), weight)
    latents = yield course.through_vae("encode", outside)
    return masked_channels(latents, anew, course.now().checkpoint.family)


def _plan(
    course: Course,
    noise: PictureNoise,
    size: tuple[int, int],
    sampler: str,
    schedule: str,
    steps: int,
    strength: float | None = None,
    *,
    fixed_steps: bool = False,
) -> tuple[Sampler, SamplingPlan]:
    request, serving = course.request, course.now()
    settings = request.sampling
    if fixed_steps:
        settings = replace(settings, img2img_fix_steps=True)
    method, schedule_type = resolve(sampler, schedule)
    if serving.checkpoint.family.flow is not None:
        method = of_flows(method)
    return method, plan_sampling(
        method,
        schedule_type,
        serving.levels(size, steps),
        steps,
        settings,
        denoising_strength=strength,
        seed=course.seed,
        # torch's of the CPU, where nothing else is asked for, are the tree's own
        unit_noise=None if request.randn_source == "CPU" else noise.first_of,
    )


def _noise(course: Course, size: tuple[int, int], *, plain: bool = False, onward: int = 0) -> PictureNoise:
    """The picture's noise at a size in pixels; `plain` without its variation seed, `onward` seeds behind
    it."""
    family, device = course.now().checkpoint.family, course.now().checkpoint.device
    shape = family.latent_channels, size[1] // family.downscale, size[0] // family.downscale
    request = replace(course.request, subseed_strength=0.0) if plain else course.request
    return PictureNoise(request, shape, course.seed + onward, course.subseed, device)


def _pixels(course: Course, image: Image.Image) -> torch.Tensor:
    """(1, 3, height, width) from -1 to 1 on the device."""
    array = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous().to(course.now().checkpoint.device)


def _interpolated(latents: torch.Tensor, size: tuple[int, int], mode: Any) -> torch.Tensor:
    return torch.nn.functional.interpolate(latents, size=size, mode=mode.mode, antialias=mode.antialias)


def _middle(latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What is left when the rest is cut off evenly, of an odd rest one more at the end."""
    top, left = (latents.shape[-2] - height) // 2, (latents.shape[-1] - width) // 2
    return latents[..., top : top + height, left : left + width]


def _array(tensor: torch.Tensor) -> Any:
    return tensor.float().cpu().numpy()
