"""What infotexts say of noise, samplers and guidance: A1111's labels where A1111 writes them, read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.api.requests.options_table import options_of_infotext
from easel.studio.drawing_settings import drawing_fields
from easel.studio.engine import (
    RANDN_SOURCES,
    SAMPLERS,
    SCHEDULE_TYPES,
    EmphasisMode,
    SamplerSettings,
    TextToImage,
)
from easel.studio.infotext import parse, write
from easel.studio.infotext_drawing import sampling_parameters, schedule_type, seed_parameters

_SHARES = st.floats(0, 1)
_SIGMAS = st.floats(0, 100)
_SAMPLING = st.builds(
    SamplerSettings, eta_ancestral=_SHARES, eta_ddim=_SHARES, s_churn=_SIGMAS, s_tmin=_SIGMAS, s_tmax=_SIGMAS,
    s_noise=_SHARES, sigma_min=st.floats(0, 1), sigma_max=st.floats(2, 100), rho=st.floats(0, 10),
    always_discard_next_to_last_sigma=st.booleans(), sgm_noise_multiplier=st.booleans(),
    beta_dist_alpha=st.floats(0.01, 1), beta_dist_beta=st.floats(0.01, 1),
    uni_pc_variant=st.sampled_from(["bh1", "bh2", "vary_coeff"]), uni_pc_order=st.integers(1, 50),
    uni_pc_skip_type=st.sampled_from(["time_uniform", "time_quadratic", "logSNR"]),
    uni_pc_lower_order_final=st.booleans(), skip_early_cond=_SHARES, s_min_uncond=st.floats(0, 15),
    s_min_uncond_all=st.booleans(),
)  # fmt: skip
_DRAWINGS = st.builds(
    TextToImage, prompt=st.sampled_from(["a cat", "a (cat)"]), sampling=_SAMPLING,
    sampler=st.sampled_from([one.name for one in SAMPLERS]),
    schedule_type=st.sampled_from([one.label for one in SCHEDULE_TYPES]),
    emphasis=st.sampled_from(EmphasisMode), randn_source=st.sampled_from(RANDN_SOURCES),
    eta_noise_seed_delta=st.integers(-(2**63) + 1, 2**63 - 1), seed_resize_from_w=st.integers(-1, 2048),
    seed_resize_from_h=st.integers(-1, 2048), clip_skip=st.integers(1, 12),
)  # fmt: skip


@given(_DRAWINGS)
def test_settings_survive_an_infotext(request: TextToImage) -> None:
    """Whatever a text says of seeds, noise, sampler and guidance is read as the very values: the request that
    comes of it says the same again."""
    resolved = request.resolved()
    said = {**seed_parameters(resolved), **sampling_parameters(resolved)}
    shown = {key: value for key, value in said.items() if value is not None}
    found = parse(write("x", "", {"Steps": 1, "Sampler": "Euler", "Version": "Easel 1", **shown}))
    options = {"randn_source": found.randn_source, **options_of_infotext(found.parameters)}
    fields = found.request()
    sizes = {key: fields[key] for key in ("seed_resize_from_w", "seed_resize_from_h") if key in fields}
    skip = fields.get("override_settings", {})
    read = replace(TextToImage(), **drawing_fields({**options, **skip}), **sizes)
    read = replace(
        read, prompt=resolved.prompt, sampler=resolved.sampler, schedule_type=schedule_type(resolved)
    )
    again = read.resolved()
    assert {**seed_parameters(again), **sampling_parameters(again)} == said
    assert (again.randn_source, again.clip_skip) == (resolved.randn_source, resolved.clip_skip)


SET = SamplerSettings(
    eta_ancestral=0.67, eta_ddim=0.5, s_churn=10, s_tmin=0.1, s_tmax=9, s_noise=1.003, sigma_min=0.1,
    sigma_max=10, rho=5, always_discard_next_to_last_sigma=True, sgm_noise_multiplier=True, uni_pc_order=2,
    uni_pc_variant="bh2", uni_pc_skip_type="logSNR", uni_pc_lower_order_final=False,
)  # fmt: skip
CHURN = "Sigma churn: 10, Sigma tmin: 0.1, Sigma tmax: 9, Sigma noise: 1.003"
SCHEDULE = "Discard penultimate sigma: True, Schedule min sigma: 0.1, Schedule max sigma: 10"


@pytest.mark.parametrize(
    ("sampler", "schedule", "labels"),
    [
        ("Euler", "Automatic", f"Discard penultimate sigma: True, SGM noise multiplier: True, {CHURN}"),
        ("Euler a", "Karras", f"{SCHEDULE}, Schedule rho: 5, SGM noise multiplier: True, Eta: 0.67"),
        ("DPM++ SDE", "Exponential",
         f"{SCHEDULE}, SGM noise multiplier: True, Eta: 0.67, Sigma noise: 1.003"),
        ("DPM2", "Automatic", "Schedule min sigma: 0.1, Schedule max sigma: 10, Schedule rho: 5, "
         f"SGM noise multiplier: True, {CHURN}"),
        ("LMS", "Beta", f"{SCHEDULE}, Beta schedule alpha: 0.6, Beta schedule beta: 0.6, "
         "SGM noise multiplier: True"),
        ("DDIM", "Karras", "Eta DDIM: 0.5"),
        ("PLMS", "Automatic", ""),
    ],
)  # fmt: skip
def test_labels_stand_where_a1111_writes_them(sampler: str, schedule: str, labels: str) -> None:
    """A sampler's text says what that sampler reads, in A1111's order, and nothing of what it does not."""
    request = TextToImage(sampler=sampler, schedule_type=schedule, sampling=SET).resolved()
    assert ", ".join(f"{key}: {value}" for key, value in sampling_parameters(request).items()) == labels


@pytest.mark.parametrize(
    ("fields", "key", "value"),
    [
        ({"emphasis": EmphasisMode.NO_NORM, "prompt": "a (red) cat"}, "Emphasis", "No norm"),
        ({"emphasis": EmphasisMode.NO_NORM, "negative_prompt": "[red]"}, "Emphasis", "No norm"),
        ({"emphasis": EmphasisMode.NO_NORM, "prompt": "a red cat"}, "Emphasis", None),
        ({"prompt": "a (red) cat"}, "Emphasis", None),
        ({"eta_noise_seed_delta": 31337}, "ENSD", 31337),
        ({"eta_noise_seed_delta": 31337, "sampling": SamplerSettings(eta_ancestral=0)}, "ENSD", None),
        ({"eta_noise_seed_delta": 31337, "sampler": "Euler"}, "ENSD", None),
        ({"randn_source": "NV"}, "RNG", "NV"),
        ({"randn_source": "GPU"}, "RNG", None),
        ({"seed_resize_from_w": 512, "seed_resize_from_h": 640}, "Seed resize from", "512x640"),
        ({"seed_resize_from_w": 512}, "Seed resize from", None),
        ({"sampling": SamplerSettings(s_min_uncond=1.5)}, "NGMS", 1.5),
        ({"sampling": SamplerSettings(s_min_uncond_all=True)}, "NGMS all steps", None),
        ({"sampling": SamplerSettings(skip_early_cond=0.2)}, "Skip Early CFG", 0.2),
    ],
)  # fmt: skip
def test_what_a_text_says_of_noise_and_guidance(fields, key, value) -> None:
    """A1111's conditions: what is a default, or counts for nothing, is left out."""
    request = TextToImage(**fields).resolved()
    assert {**seed_parameters(request), **sampling_parameters(request)}.get(key) == value


def test_both_spellings_of_beta() -> None:
    """A1111 writes `Beta schedule alpha` and reads `Beta scheduler alpha`; both are read here."""
    for word in ("schedule", "scheduler"):
        assert options_of_infotext({f"Beta {word} alpha": "0.5"}) == {"beta_dist_alpha": "0.5"}


@pytest.mark.parametrize(
    ("ending", "source"),
    [("Version: v1.10.1", "NV"), ("Version: f2.0.1v1.10.1", "NV"), ("RNG: CPU, Version: v1.10.1", "CPU"),
     ("Version: Easel 0.1", "GPU"), ("Version: ComfyUI", None), ("Model: m", None)],
)  # fmt: skip
def test_noise_that_a_text_does_not_tell(ending: str, source: str | None) -> None:
    """A1111 and Forge leave RNG out for a GPU's noise, which NV gives; of other programs nothing is known."""
    assert parse(f"x\nSteps: 20, Sampler: Euler, Seed: 1, {ending}").randn_source == source
