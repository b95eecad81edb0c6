"""What can be asked of the engine: one request, many pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from easel.remark import figure, remark
from easel.studio import allowed
from easel.studio.engine.control.unit import ControlUnit
from easel.studio.engine.errors import InvalidRequest, check_range
from easel.studio.engine.faces.face_files import FaceRestoration
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.prompts.prompt_length import check_length
from easel.studio.engine.requests.image_to_image import ImageToImage
from easel.studio.engine.requests.second_pass import HiresFix, Refiner
from easel.studio.engine.sampling.samplers import Sampler, resolve
from easel.studio.engine.sampling.schedule_types import ScheduleType
from easel.studio.engine.sampling.settings import SamplerSettings
from easel.studio.engine.upscaling.enlargement import Enlargement, UpscalerTiles

MAX_STEPS = 150
MAX_SIDE = 2048
MIN_SIDE = 64
MAX_BATCH_SIZE = 16
MAX_BATCH_COUNT = 100
# Below 0 the picture flees from its prompt: the formula holds there too, and A1111 draws it.
MAX_CFG_SCALE = 100
MAX_SEED = 2**63 - 1
DEEP = "deep"
"""The one cache of the UNet that a request may ask for."""
DEEP_EVERY = 3
"""With it the whole UNet runs in one of so many calls (docs/decisions/0070)."""
MAX_SHOWN = 8
"""Pictures that a model which edits may look at beside its source: FLUX.2's publisher takes as many."""
SHOWN_FIELD = "reference_images"
"""What a request calls them."""
# About what one of them is looked at, in pixels: a million in all families.
_SHOWN_PIXELS = 1024 * 1024
RANDN_SOURCES = ("CPU", "GPU", "NV")
# A1111's sliders where it has any that hold for its API too; wider where clients are known to go beyond them.
_SAMPLER_RANGES: dict[str, tuple[float, float]] = {
    "eta_ancestral": (0, 1), "eta_ddim": (0, 1), "s_churn": (0, 100), "s_tmin": (0, 10_000),
    "s_tmax": (0, 10_000), "s_noise": (0, 2), "sigma_min": (0, 10_000), "sigma_max": (0, 10_000),
    "rho": (0, 100), "beta_dist_alpha": (0.01, 10), "beta_dist_beta": (0.01, 10), "uni_pc_order": (1, 50),
    "skip_early_cond": (0, 1), "s_min_uncond": (0, 15),
}  # fmt: skip
_SAMPLER_WORDS: dict[str, tuple[str, ...]] = {
    "uni_pc_variant": ("bh1", "bh2", "vary_coeff"),
    "uni_pc_skip_type": ("time_uniform", "time_quadratic", "logSNR"),
}
# A1111 draws random seeds from this range; keeping to it lets every client show them exactly.
RANDOM_SEEDS = 2**32 - 2


@dataclass(frozen=True)
class SamplingPass:
    """One way through the sampler: pixels of the picture, steps, about how many UNet calls they take, how
    many control models are run with each, and how many pictures are looked at in each."""

    width: int
    height: int
    steps: int
    calls: int
    controls: int = 0
    shown: int = 0

    @property
    def work(self) -> float:
        """Pixels times calls; a ControlNet is half a UNet."""
        pixels = self.width * self.height + self.shown * _SHOWN_PIXELS
        return pixels * self.calls * (1 + self.controls / 2)


@dataclass(frozen=True, kw_only=True)
class TextToImage:
    """Draw pictures from words, and from pictures where there is a `source`.

    Fields have A1111's names, units and defaults (`steps` is the exception every client sets). Sizes are
    pixels and are rounded down to a multiple of 8, as A1111 does. `seed` -1 draws one at random; picture `i`
    of a request uses `seed + i`. `clip_skip` counts as A1111 does: 1 is the last layer, and counts for
    nothing with SD 2.x and, without `sdxl_clip_l_skip`, with SDXL. `checkpoint` is any name that
    `easel.models.Store.find_checkpoint` understands; None is the engine's default. `vae` is a file's name,
    "None" for the checkpoint's own, or "Automatic" (as None): a file called as the checkpoint, if there is
    one, else its own. `modules` are names of text encoders and VAEs to draw with (`chosen_parts`); what the
    checkpoint has no place for is told and left out. Without `extra_networks` tags such as `<lora:…>` are
    taken out of the prompts and no more.

    `shown` are pictures (files' bytes) that a model which edits looks at beside the one it draws, behind the
    `source` where there is one.

    `distilled_guidance` is the scale that a guidance-distilled model is told (Forge's distilled CFG scale);
    None for the one that its publisher draws with.

    `randn_source` says where noise comes from: CPU, GPU (the device that draws) or NV (an NVIDIA card's
    numbers, made on the CPU). `seed_resize_from_w` and `_h` lay the seed's noise at that size, in pixels,
    into the middle of this picture's; 0 or less in either is off. `eta_noise_seed_delta` (ENSD) is added to
    the seed for all noise after the first. `sampling` is what changes how the sampler works, `emphasis` what
    brackets in the prompts do, `upscaler_tiles` how upscalers cut a picture. With `faces` those of what is
    drawn are restored. `exact` pictures share no call with others: on one kind of device they have the same
    bits in any company, where else the last ones follow the width of the batch. The whole UNet runs in one of
    `cache_every` calls only, and its outermost layers in those between. With `enlargement` nothing
    is drawn: that picture is made larger, and no other field than `upscaler_tiles` counts.
    """

    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = "Euler a"
    schedule_type: str = "Automatic"
    steps: int = 20
    cfg_scale: float = 7.0
    distilled_guidance: float | None = None
    width: int = 512
    height: int = 512
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from_w: int = 0
    seed_resize_from_h: int = 0
    randn_source: str = "CPU"
    eta_noise_seed_delta: int = 0
    batch_size: int = 1
    batch_count: int = 1
    sampling: SamplerSettings = field(default_factory=SamplerSettings)
    emphasis: EmphasisMode = EmphasisMode.ORIGINAL
    clip_skip: int = 1
    sdxl_clip_l_skip: bool = False
    checkpoint: str | None = None
    vae: str | None = None
    modules: tuple[str, ...] = ()
    extra_networks: bool = True
    tiling: bool = False
    source: ImageToImage | None = None
    shown: tuple[bytes, ...] = ()
    hires: HiresFix | None = None
    refiner: Refiner | None = None
    enlargement: Enlargement | None = None
    upscaler_tiles: tuple[UpscalerTiles, ...] = ()
    controls: tuple[ControlUnit, ...] = ()
    faces: FaceRestoration | None = None
    exact: bool = False
    cache_every: int = 1

    def resolved(self) -> TextToImage:
        """The same request, checked, with seeds drawn, sizes rounded and the sampler under its own name.

        Raises InvalidRequest or UnknownSampler; what this returns can be drawn on any checkpoint.
        """
        check_length("prompt", len(self.prompt))
        check_length("negative_prompt", len(self.negative_prompt))
        check_range("steps", self.steps, 1, MAX_STEPS)
        check_range("cfg_scale", self.cfg_scale, -MAX_CFG_SCALE, MAX_CFG_SCALE)
        if self.distilled_guidance is not None:
            check_range("distilled_cfg_scale", self.distilled_guidance, 0, MAX_CFG_SCALE)
        check_range("width", self.width, MIN_SIDE, MAX_SIDE)
        check_range("height", self.height, MIN_SIDE, MAX_SIDE)
        check_range("seed", self.seed, -1, MAX_SEED)
        check_range("subseed", self.subseed, -1, MAX_SEED)
        check_range("subseed_strength", self.subseed_strength, 0, 1)
        check_range("seed_resize_from_w", self.seed_resize_from_w, -1, MAX_SIDE)
        check_range("seed_resize_from_h", self.seed_resize_from_h, -1, MAX_SIDE)
        check_range("eta_noise_seed_delta", self.eta_noise_seed_delta, -MAX_SEED, MAX_SEED)
        _check_word("randn_source", self.randn_source, RANDN_SOURCES)
        _check_sampling(self.sampling)
        check_range("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        check_range("n_iter", self.batch_count, 1, MAX_BATCH_COUNT)
        check_range("clip_skip", self.clip_skip, 1, 12)
        check_range("cache_every", self.cache_every, 1, MAX_STEPS)
        if len(self.shown) > MAX_SHOWN:
            raise InvalidRequest(
                SHOWN_FIELD, allowed.counted_pictures(len(self.shown)), allowed.up_to(MAX_SHOWN)
            )
        sampler, schedule = resolve(self.sampler, self.schedule_type)
        for part in (
            self.source,
            self.hires,
            self.refiner,
            self.enlargement,
            *self.upscaler_tiles,
            self.faces,
            *self.controls,
        ):
            if part is not None:
                part.check()
        return replace(
            self,
            sampler=sampler.name,
            schedule_type=schedule.label,
            hires=self._hires(),
            width=self.width // 8 * 8,
            height=self.height // 8 * 8,
            seed=random_seed() if self.seed == -1 else self.seed,
            subseed=random_seed() if self.subseed == -1 else self.subseed,
        )

    def _hires(self) -> HiresFix | None:
        hires = self.hires
        if hires is None:
            return None
        if self.source is not None:
            raise InvalidRequest(
                "enable_hr", True, remark("not_from_picture", "false where a picture is drawn from a picture")
            )
        check_range("hr_second_pass_steps", hires.steps, 0, MAX_STEPS)
        for name, side in zip(
            ("hr_resize_x", "hr_resize_y"), hires.size(self.width, self.height), strict=True
        ):
            check_range(name, side, MIN_SIDE, MAX_SIDE)
        sampler, schedule = resolve(hires.sampler or self.sampler, hires.schedule_type or self.schedule_type)
        return replace(hires, sampler=sampler.name, schedule_type=schedule.label)

    def passes(self) -> tuple[SamplingPass, ...]:
        """The ways through the sampler that each picture takes, of a request that is resolved; an enlargement
        counts as one call at its full size for each upscaler."""
        if self.enlargement is not None:
            calls = max(1, len(self.enlargement.upscalers))
            return (SamplingPass(*self.enlargement.size, calls, calls),)
        first = self._pass(self.width, self.height, self.steps, self.sampler)
        if self.source is not None:
            share = self.source.denoising_strength
            drawn = replace(first, calls=max(1, round(first.calls * share)))
            found = self.source.found_noise
            if found is None:
                return (drawn,)
            return replace(first, steps=found.steps, calls=found.steps), drawn
        if self.hires is None:
            return (first,)
        steps = self.hires.steps or self.steps
        size = self.hires.size(self.width, self.height)
        return first, self._pass(*size, steps, self.hires.sampler or self.sampler, second=True)

    def _pass(
        self, width: int, height: int, steps: int, sampler: str, *, second: bool = False
    ) -> SamplingPass:
        calls = steps * (2 if resolve(sampler)[0].second_order else 1)
        at_work = [one for one in self.controls if one.controls(second_pass=second)]
        controls = sum(2 if one.refers else 1 for one in at_work)  # a reference is a whole call of the UNet
        return SamplingPass(width, height, steps, calls, controls, len(self.shown))

    @property
    def pictures(self) -> int:
        """How many pictures this request asks for."""
        return self.batch_size * self.batch_count

    def seed_of(self, index: int) -> int:
        """A picture's seed, by A1111's rule: the number is added, unless a subseed varies one seed."""
        return self.seed if self.subseed_strength else self.seed + index

    def method(self) -> tuple[Sampler, ScheduleType]:
        """The sampler and schedule type by their table entries."""
        return resolve(self.sampler, self.schedule_type)


_CHANCE: ContextVar[random.Random | None] = ContextVar("chance", default=None)


def random_seed() -> int:
    """A seed in the range A1111 draws from."""
    return (_CHANCE.get() or random).randrange(RANDOM_SEEDS)


@contextmanager
def chance(salt: int) -> Iterator[None]:
    """Within it, and in threads that it hands work to, random seeds are the same for the same `salt`: what
    was begun and is begun again means the same pictures."""
    token = _CHANCE.set(random.Random(salt))  # noqa: S311 - seeds are published with every picture
    try:
        yield
    finally:
        _CHANCE.reset(token)


def _check_word(name: str, value: str, words: Sequence[str]) -> None:
    if value not in words:
        raise InvalidRequest(name, value, ", ".join(words))


def _check_sampling(settings: SamplerSettings) -> None:
    for name, (low, high) in _SAMPLER_RANGES.items():
        check_range(name, getattr(settings, name), low, high)
    for name, words in _SAMPLER_WORDS.items():
        _check_word(name, getattr(settings, name), words)
    if settings.sigma_max and settings.sigma_min >= settings.sigma_max:
        raise InvalidRequest(
            "sigma_min",
            settings.sigma_min,
            remark(
                "less_than_sigma_max",
                "less than sigma_max ({most})",
                most=figure(settings.sigma_max, "g"),
            ),
        )
