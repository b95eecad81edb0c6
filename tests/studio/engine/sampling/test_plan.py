"""What a plan promises: calls, steps, where image to image begins, and finite latents whatever is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from easel.studio.engine.sampling.brownian import BrownianTree
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.sampling.plan import SamplingPlan, plan
from easel.studio.engine.sampling.samplers import SAMPLERS, Sampler, resolve
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES, ScheduleType
from easel.studio.engine.sampling.schedules import noise_schedule
from easel.studio.engine.sampling.settings import SamplerSettings
from tests.studio.engine.sampling.judges import SHAPE, NoiseSource, SyntheticUNet, drawn, relative_rms

LEVELS = NoiseLevels.of_family({})
ALL_LEVELS = [
    LEVELS,
    NoiseLevels.of_family({"prediction_type": "v_prediction"}),
    NoiseLevels.of_family({"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    NoiseLevels.of_family({"beta_end": 0.025, "prediction_type": "v_prediction"}),
]
SETTINGS = st.builds(
    SamplerSettings,
    eta_ancestral=st.floats(0, 2),
    eta_ddim=st.floats(0, 2),
    s_churn=st.just(0.0) | st.floats(0, 100),
    s_tmin=st.floats(0, 10),
    s_tmax=st.just(0.0) | st.floats(0, 20),
    s_noise=st.floats(0, 1.1),
    rho=st.just(0.0) | st.floats(0.5, 16),
    always_discard_next_to_last_sigma=st.booleans(),
    use_old_karras_scheduler_sigmas=st.booleans(),
    enable_quantization=st.booleans(),
    uni_pc_variant=st.sampled_from(["bh1", "bh2", "vary_coeff"]),
    uni_pc_skip_type=st.sampled_from(["time_uniform", "time_quadratic", "logSNR"]),
    uni_pc_order=st.integers(1, 10),
    uni_pc_lower_order_final=st.booleans(),
    img2img_fix_steps=st.booleans(),
)


def run(
    made: SamplingPlan, levels: NoiseLevels = LEVELS, *, picture: bool = False
) -> tuple[torch.Tensor, int]:
    noise = NoiseSource(3)()
    start = made.start_from(torch.ones(SHAPE), noise) if picture else made.start(noise)
    return drawn(made.run(start, NoiseSource()), made.denoiser, SyntheticUNet(levels))


@given(
    st.sampled_from(SAMPLERS),
    st.sampled_from(SCHEDULE_TYPES),
    st.integers(1, 150),
    st.sampled_from(ALL_LEVELS),
    st.none() | st.floats(0, 1),
    SETTINGS,
)
@settings(deadline=None, max_examples=100, phases=set(Phase) - {Phase.explain})
def test_any_plan(
    sampler: Sampler,
    schedule: ScheduleType,
    steps: int,
    levels: NoiseLevels,
    strength: float | None,
    chosen: SamplerSettings,
) -> None:
    """Any sampler, schedule, steps, family, strength and settings: finite latents by the calls announced."""
    made = plan(sampler, schedule, levels, steps, chosen, denoising_strength=strength, seed=5)
    latents, calls = run(made, levels, picture=strength is not None)
    assert torch.isfinite(latents).all()
    assert latents.shape == SHAPE
    assert calls == made.calls or sampler.name == "DPM adaptive"
    assert 0 < made.steps <= steps
    assert made.prompt_steps == steps * (2 if sampler.second_order else 1)


@pytest.mark.parametrize("sampler", [one for one in SAMPLERS if one.brownian_noise], ids=lambda one: one.name)
def test_steps_shorter_than_the_tree_tells_apart(sampler: Sampler) -> None:
    """Polyexponential's last sigmas for a high rho differ by 2e-8: their noise is none, and no division by
    zero."""
    _, schedule = resolve("Euler", "Polyexponential")
    made = plan(sampler, schedule, LEVELS, 136, SamplerSettings(rho=7.1132), seed=5)
    assert torch.isfinite(run(made)[0]).all()


@pytest.mark.parametrize(
    ("strength", "fixed", "steps", "first"),
    [
        (0.75, False, 16, 4),
        (0.5, False, 11, 9),
        (1.0, False, 20, 0),
        (0.0, False, 1, 19),
        (0.4, True, 20, 30),
    ],
)
def test_image_to_image(strength: float, fixed: bool, steps: int, first: int) -> None:
    """A1111's slices: strength 0.75 of 20 steps makes 16; fixed, 20 of 50."""
    sampler, schedule = resolve("Euler", "Karras")
    given_settings = SamplerSettings(img2img_fix_steps=fixed)
    made = plan(sampler, schedule, LEVELS, 20, given_settings, denoising_strength=strength, seed=1)
    whole = noise_schedule("karras", 50 if fixed else 20, LEVELS, SamplerSettings(), discard=False)
    image, noise = torch.full(SHAPE, 2.0), NoiseSource()()
    assert (made.steps, made.calls, made.prompt_steps) == (steps, steps, 20)
    torch.testing.assert_close(made.start_from(image, noise), image + noise * whole[first])


def test_image_to_image_by_timesteps() -> None:
    """DDIM at strength 0.5 of 20 steps: noise of the eleventh timestep, nine calls from the tenth on."""
    sampler, schedule = resolve("DDIM")
    made = plan(sampler, schedule, LEVELS, 20, denoising_strength=0.5, seed=1)
    image, noise = torch.full(SHAPE, 2.0), NoiseSource()()
    kept = LEVELS.kept(501)
    expected = image * kept**0.5 + noise * (1 - kept) ** 0.5
    torch.testing.assert_close(made.start_from(image, noise), expected)
    assert next(made.run(expected, NoiseSource())).level == 451
    assert (made.steps, made.calls) == (11, 9)


def test_nothing_to_do() -> None:
    """Hires fix at strength zero gives back the picture it was given, without a call."""
    for name in ("Euler", "DPM++ 2M SDE", "DPM adaptive", "DDIM", "UniPC"):
        made = plan(
            *resolve(name),
            LEVELS,
            20,
            SamplerSettings(img2img_fix_steps=True),
            denoising_strength=0.0,
            seed=1,
        )
        latents, calls = run(made, picture=True)
        assert (calls, made.calls) == (0, 0)
        assert torch.equal(latents, torch.ones(SHAPE)), name


def test_noise_beyond_the_schedule() -> None:
    """`img2img_extra_noise` goes with the picture's share; `sgm_noise_multiplier` adds its variance."""
    image, noise = torch.zeros(SHAPE), torch.ones(SHAPE)
    extra = SamplerSettings(img2img_extra_noise=0.5)
    for name in ("Euler", "DDIM"):
        without = plan(*resolve(name), LEVELS, 20, denoising_strength=0.5, seed=1)
        made = plan(*resolve(name), LEVELS, 20, extra, denoising_strength=0.5, seed=1)
        share = made.start_from(noise, image).mean()
        difference = made.start_from(image, noise) - without.start_from(image, noise)
        assert float(difference.mean()) == pytest.approx(0.5 * float(share))
    made = plan(*resolve("Euler"), LEVELS, 20, SamplerSettings(sgm_noise_multiplier=True), seed=1)
    assert float(made.start(noise).mean()) == pytest.approx((1 + LEVELS.sigma_max**2) ** 0.5)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("DPM++ 2M", "karras"), ("DPM++ 2M SDE", "exponential"), ("DPM2", "karras"), ("Euler", "uniform")],
)
def test_automatic(name: str, schedule: str) -> None:
    """Automatic is the schedule that A1111 gives the sampler."""
    automatic = run(plan(*resolve(name), LEVELS, 12, seed=1))[0]
    assert torch.equal(automatic, run(plan(*resolve(name, schedule), LEVELS, 12, seed=1))[0])


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda one: one.name)
def test_a_seed_is_a_picture(sampler: Sampler) -> None:
    """The same seed gives the same latents bit for bit; another one others, where noise comes of a tree."""
    once, again = (run(plan(sampler, SCHEDULE_TYPES[0], LEVELS, 6, seed=1))[0] for _ in range(2))
    assert torch.equal(once, again)
    other = run(plan(sampler, SCHEDULE_TYPES[0], LEVELS, 6, seed=2))[0]
    assert torch.equal(once, other) != sampler.brownian_noise


def test_numbers_of_the_tree() -> None:
    """A tree draws by `unit_noise` where it is given, once for each node of its own; then by torch again."""
    like = torch.zeros(SHAPE)
    seeds: list[int] = []

    def unit_noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
        seeds.append(seed)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    plain = BrownianTree(like, 0.03, 14.6, 7)(10.0, 5.0)
    given_numbers = BrownianTree(like, 0.03, 14.6, 7, unit_noise)(10.0, 5.0)
    assert torch.equal(plain, given_numbers)
    assert len(set(seeds)) > 3
    drawn_so_far = len(seeds)
    assert torch.equal(plain, BrownianTree(like, 0.03, 14.6, 7)(10.0, 5.0))
    assert len(seeds) == drawn_so_far


def test_one_motion() -> None:
    """Two halves of a step have the noise of the whole step, and it is unit noise."""
    tree = BrownianTree(torch.zeros(1, 4, 64, 64), 0.03, 14.6, 7)
    whole = tree(10.0, 4.0) * 6**0.5
    halves = tree(10.0, 7.0) * 3**0.5 + tree(7.0, 4.0) * 3**0.5
    assert relative_rms(halves, whole) < 1e-5
    assert float(tree(10.0, 4.0).std()) == pytest.approx(1, abs=0.03)


def test_light() -> None:
    """The tables are imported by all of the program, and bring no torch."""
    program = (
        "import sys, easel.studio.engine.sampling.samplers, easel.studio.engine.sampling.settings;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
