"""What drawing is said to take, against what torch allocates for it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from easel.models import Architecture
from easel.studio.engine.latents.tiles import decoding, encoding
from easel.studio.engine.loading import activations as counting
from easel.studio.engine.loading.activations import activations
from easel.studio.engine.texts.micro_conditioning import size_numbers
from easel.studio.families import Family
from easel.studio.families import family as family_of
from tests.studio.engine.tiny import build, tiny

FAMILIES = (
    Architecture.STARTER, Architecture.SD1, Architecture.SD1_INPAINT, Architecture.SD2, Architecture.SDXL,
    Architecture.SDXL_REFINER,
)  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda one: one.value)
def drawn_with(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Family, Any]:
    """A family and its modules, with weights: the starter as it is, the others narrow."""
    if request.param is Architecture.STARTER:
        return family_of(request.param), build(family_of(request.param))
    made = tiny(request.param, tmp_path_factory.mktemp(request.param.value))
    return made.family, made.modules


@torch.inference_mode()
def allocated(work: Any) -> int:
    """Bytes that torch's CPU allocator holds for this at the most, by its own profiler."""
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    events = [one for one in found.profiler.kineto_results.events() if one.name() == "[memory]"]
    now = most = 0
    for one in sorted(events, key=lambda event: event.start_ns()):
        now += one.nbytes()
        most = max(most, now)
    return most


def through(pieces: Any) -> None:
    for _ in pieces:
        pass


@pytest.mark.parametrize(("side", "rows"), [(40, 3)])
def test_a_unet_call_takes_what_was_said(drawn_with: tuple[Family, Any], side: int, rows: int) -> None:
    """No more than was said and a layer's weights, which a CPU turns round for a convolution; and no less
    than half of it, or pictures would be refused that fit."""
    family, modules = drawn_with
    unet = modules.backbone
    added: dict[str, Any] = {}
    if family.pooled:
        numbers = size_numbers(family)
        width = unet.config.projection_class_embeddings_input_dim
        texts = torch.zeros(rows, width - numbers * unet.config.addition_time_embed_dim)
        added["added_cond_kwargs"] = {"text_embeds": texts, "time_ids": torch.zeros(rows, numbers)}
    latents = torch.randn(rows, unet.config.in_channels, side, side)
    tokens = torch.randn(rows, 77, unet.config.cross_attention_dim)
    took = allocated(lambda: unet(latents, 500, encoder_hidden_states=tokens, return_dict=False, **added))
    said = activations(family, torch.float32).of_call(side * side, rows)
    layer = max(one.numel() * one.element_size() for one in unet.parameters())
    assert said / 2 < took < said + layer


@pytest.mark.parametrize("way", ["decode", "encode"])
@pytest.mark.parametrize("size", [(256, 192)])
def test_a_way_through_the_vae_takes_what_was_said(
    drawn_with: tuple[Family, Any], way: str, size: tuple[int, int]
) -> None:
    """Whole and by tiles."""
    family, modules = drawn_with
    width, height = size
    scale = family.downscale
    given = torch.randn(1, family.latent_channels, height // scale, width // scale)
    if way == "encode":
        given = torch.randn(1, 3, height, width)
    run = decoding if way == "decode" else encoding
    counted = activations(family, torch.float32)
    layer = max(one.numel() * one.element_size() for one in modules.vae.parameters())
    for side in (None, 128):
        took = allocated(lambda side=side: through(run(modules.vae, given, scale, side=side)))
        said = counted.of_vae(way, width, height, side)
        assert said / 2.5 < took < said + layer


def test_kernels_leave_what_torch_s_own_steps_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms and products are counted by the shape of their answer, in half the time: to the same byte."""
    family, dtype = family_of(Architecture.STARTER), torch.float16
    by_shape = activations(family, dtype)
    attention = F.scaled_dot_product_attention
    monkeypatch.setattr(counting, "_KERNELS", {attention: counting._KERNELS[attention]})
    counting._counted.cache_clear()
    assert activations(family, dtype) == by_shape


def test_a_copy_of_a_family_is_not_counted_again(tmp_path: Path) -> None:
    """What is the same by its description is, in whatever folder; what is not, is not."""
    one, same, other = (tiny(Architecture.SD1, tmp_path / name).family for name in ("one", "same", "other"))
    config = other.folder / "unet/config.json"
    config.write_text(config.read_text().replace('"in_channels": 4', '"in_channels": 9'))
    assert one.folder != same.folder
    assert activations(same, torch.float32) is activations(one, torch.float32)
    assert activations(other, torch.float32) is not activations(one, torch.float32)


def test_tiles_take_less_each_time() -> None:
    """SDXL at 2048: by its own tiles, then smaller ones, each way with less than the one before."""
    ways = activations(family_of(Architecture.SDXL), torch.float16).ways("decode", 2048, 2048)
    assert [side for side, _ in ways] == [None, 512, 256]
    assert all(before > after for (_, before), (_, after) in pairwise(ways))


def test_real_sizes_without_their_weights() -> None:
    """The published SD 1.x and SDXL in half precision, in the time and memory of their configuration: a call
    for a picture with its negative prompt, and the decode."""
    said = {}
    for one in (Architecture.SD1, Architecture.SDXL):
        family = family_of(one)
        counted, side = activations(family, torch.float16), family.native
        call = counted.of_call((side // 8) ** 2, 2)
        said[one] = round(call / 1e6), round(counted.of_vae("decode", side, side) / 1e6)
    assert said == {Architecture.SD1: (171, 510), Architecture.SDXL: (414, 4052)}
