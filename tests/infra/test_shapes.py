"""The table of shapes."""

from datetime import date

import pytest

from infra.checkpoints import family_of, smallest_that_holds
from infra.shapes import FAMILIES, PRICED, SHAPES


def test_every_price_has_its_date() -> None:
    """A price without a date is a rumour."""
    assert date.fromisoformat(PRICED)
    assert all(kind.price > 0 for shape in SHAPES.values() for kind in shape.instance_types)


def test_instance_types_of_a_shape_may_replace_each_other() -> None:
    """Types that stand in for each other are of one family of EC2, so that GPU and driver are the same."""
    for shape in SHAPES.values():
        if shape.gpu:
            assert len({kind.name.split(".")[0] for kind in shape.instance_types}) == 1, shape.name
        assert len({kind.name for kind in shape.instance_types}) == len(shape.instance_types)


def test_what_stands_in_comes_in_the_order_of_what_the_quota_counts() -> None:
    """A quota that fits the preferred type fits the next one too, where there is a smaller one.

    With the larger one before it, an account with room for one preferred instance was told that its quota is
    too small.
    """
    for shape in SHAPES.values():
        others = [kind.vcpu for kind in shape.instance_types[1:]]
        assert others == sorted(others), shape.name


def test_every_shape_has_memory_for_something_and_says_what() -> None:
    """A shape that holds nothing could only disappoint."""
    for shape in SHAPES.values():
        assert "SD 1.5" in shape.holds
        assert "SD 1.5" in shape.tooltip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_shape_that_can_be_had_singly(family: str) -> None:
    """Whoever is told that a model does not fit is told what does."""
    shape = smallest_that_holds(family)
    assert family in shape.holds
    assert shape.only_by == 1


@pytest.mark.parametrize(
    ("address", "family"),
    [
        ("hf://stabilityai/stable-diffusion-xl-base-1.0/sd_xl_base_1.0.safetensors", "SDXL"),
        ("hf://black-forest-labs/FLUX.1-dev/flux1-dev.safetensors", "FLUX.1"),
        ("hf://black-forest-labs/FLUX.2-dev/flux2-dev.safetensors", "FLUX.2 dev"),
        ("hf://x/flux-2-klein-4b.safetensors", "FLUX.2 klein 4B"),
        ("hf://x/flux-2-klein-base-9b.safetensors", "FLUX.2 klein 9B"),
        ("hf://Comfy-Org/z_image_turbo/diffusion_models/z_image_turbo_bf16.safetensors", "Z-Image"),
        ("hf://Comfy-Org/Qwen-Image-Edit_ComfyUI/qwen_image_edit_2509_bf16.safetensors", "Qwen-Image"),
        ("hf://lodestones/Chroma1-HD/Chroma1-HD.safetensors", "Chroma"),
        ("hf://x/sd3_medium.safetensors", "SD 3 Medium"),
        ("hf://Comfy-Org/z_image_turbo/text_encoders/qwen_3_4b.safetensors", None),
        ("hf://black-forest-labs/FLUX.1-schnell/ae.safetensors", None),
        ("hf://Comfy-Org/flux2-dev/diffusion_models/flux2_dev_fp8mixed.safetensors", None),
        ("hf://x/FLUX.1-dev-ControlNet-Union.safetensors", None),
        ("s3://models/v1-5-pruned-emaonly.safetensors", "SD 1.5"),
        ("hf://stabilityai/stable-diffusion-3.5-large/sd3.5_large.safetensors", "SD 3.5 Large"),
        ("hf://x/flux1-dev-fp8.safetensors", None),
        ("hf://x/sdxl_vae.safetensors", None),
        ("civitai://models/4384?version=128713", None),
    ],
)
def test_a_family_is_told_from_the_address_or_not_at_all(address: str, family: str | None) -> None:
    """A guess would refuse a model that fits: smaller, quantised and unknown files stay unknown."""
    assert family_of(address) == family
