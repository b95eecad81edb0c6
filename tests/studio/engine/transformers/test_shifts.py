"""Each flow family's shares of noise are those that its pipeline in diffusers asks its scheduler for."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from diffusers.pipelines.chroma import pipeline_chroma
from diffusers.pipelines.flux import pipeline_flux
from diffusers.pipelines.flux2 import pipeline_flux2, pipeline_flux2_klein
from diffusers.pipelines.qwenimage import pipeline_qwenimage, pipeline_qwenimage_edit
from diffusers.pipelines.stable_diffusion_3 import pipeline_stable_diffusion_3
from diffusers.pipelines.z_image import pipeline_z_image
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from easel.studio.engine.transformers.shifts import shift, shifted, sigmas

BY_SIZE = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
THE_SAME = {"num_train_timesteps": 1000, "shift": 3.0}
QWEN = {**BY_SIZE, "max_image_seq_len": 8192, "max_shift": 0.9, "shift": 1.0, "shift_terminal": 0.02}
Asked = dict[str, Any]


def _even(steps: int) -> Any:
    return np.linspace(1.0, 1 / steps, steps)


def _line(module: ModuleType) -> Callable[[int, int, Any], Asked]:
    """As the pipelines of Flux, Chroma and Qwen-Image call `retrieve_timesteps`."""

    def asked(steps: int, tokens: int, config: Any) -> Asked:
        line = [config.get(name, default) for name, default in _LINE.items()]
        return {"sigmas": _even(steps), "mu": module.calculate_shift(tokens, *line)}

    return asked


_LINE = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}


def _stable_diffusion_3(steps: int, tokens: int, config: Any) -> Asked:
    return {}


def _z_image(steps: int, tokens: int, config: Any) -> Asked:
    mu = pipeline_z_image.calculate_shift(tokens)
    return {"sigmas": pipeline_z_image.get_default_z_image_sigmas(steps), "mu": mu}


def _flux2(module: ModuleType) -> Callable[[int, int, Any], Asked]:
    def asked(steps: int, tokens: int, config: Any) -> Asked:
        mu = module.compute_empirical_mu(image_seq_len=tokens, num_steps=steps)
        return {"sigmas": _even(steps), "mu": mu}

    return asked


FAMILIES = [
    ("sd3", THE_SAME, pipeline_stable_diffusion_3, _stable_diffusion_3),
    ("sd35-medium", THE_SAME, pipeline_stable_diffusion_3, _stable_diffusion_3),
    ("sd35-large", THE_SAME, pipeline_stable_diffusion_3, _stable_diffusion_3),
    ("flux-dev", BY_SIZE, pipeline_flux, _line(pipeline_flux)),
    ("flux-fill", BY_SIZE, pipeline_flux, _line(pipeline_flux)),
    ("flux-kontext", BY_SIZE, pipeline_flux, _line(pipeline_flux)),
    ("flux-schnell", {**THE_SAME, "shift": 1.0}, pipeline_flux, _line(pipeline_flux)),
    ("chroma", {**THE_SAME, "shift": 1.0}, pipeline_chroma, _line(pipeline_chroma)),
    ("z-image", {**THE_SAME, "shift": 6.0}, pipeline_z_image, _z_image),
    ("z-image-turbo", THE_SAME, pipeline_z_image, _z_image),
    ("flux2", BY_SIZE, pipeline_flux2, _flux2(pipeline_flux2)),
    ("flux2-klein-4b", BY_SIZE, pipeline_flux2_klein, _flux2(pipeline_flux2_klein)),
    ("flux2-klein-9b", BY_SIZE, pipeline_flux2_klein, _flux2(pipeline_flux2_klein)),
    ("qwen-image", QWEN, pipeline_qwenimage, _line(pipeline_qwenimage)),
    ("qwen-image-edit", QWEN, pipeline_qwenimage_edit, _line(pipeline_qwenimage_edit)),
]


_each_family = pytest.mark.parametrize(
    ("family", "config", "module", "asked"), FAMILIES, ids=[one[0] for one in FAMILIES]
)


@_each_family
@pytest.mark.parametrize("tokens", [64, 1024, 4096, 4301, 8192])
@pytest.mark.parametrize("steps", [2, 4, 8, 28, 50])
def test_steps_are_made_where_the_published_pipeline_makes_them(
    family: str,
    config: Any,
    module: ModuleType,
    asked: Callable[[int, int, Any], Asked],
    tokens: int,
    steps: int,
) -> None:
    """Whatever the size and the number of steps: the shares of noise are diffusers', in single precision."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    module.retrieve_timesteps(scheduler, steps, "cpu", **asked(steps, tokens, config))
    assert sigmas(steps, tokens, config, family) == pytest.approx(scheduler.sigmas.tolist(), abs=2e-6)


@_each_family
def test_one_step_goes_from_noise_to_picture(family: str, config: Any, module: Any, asked: Any) -> None:
    """Even where the configuration wants the last step at a small share, for which diffusers has none."""
    assert sigmas(1, 4096, config, family) == [1.0, 0.0]


def test_larger_pictures_are_bent_further_towards_noise() -> None:
    """More patches hide noise less well; nothing and noise alone stay what they are."""
    small, large = (shift(20, tokens, BY_SIZE, "flux-dev") for tokens in (256, 4096))
    assert 1 < small < large
    assert [shifted(end, large) for end in (0.0, 1.0)] == [0.0, 1.0]
    assert shifted(0.5, large) > shifted(0.5, small) > 0.5
