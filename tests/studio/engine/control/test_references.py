"""Reference controls: the arithmetic that is published, and pictures in company as alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock
from PIL import Image, ImageDraw

from easel.models import Architecture, Store
from easel.studio.engine import (
    ControlledPasses,
    ControlMode,
    ControlUnit,
    Engine,
    HiresFix,
    ImageToImage,
    TextToImage,
)
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.control_models.reference_attention import ReferenceShare, ShownReference
from easel.studio.engine.control_models.reference_pass import ReferenceOfPass
from easel.studio.engine.picture import call_unet
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.texts.conditioning_schedule import Guidance
from easel.studio.png import encode
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.tiny import tiny

ASKED = TextToImage(prompt="a red circle", negative_prompt="green", width=128, height=128, steps=4, seed=7,
                    sampler="Euler", cfg_scale=4)  # fmt: skip
WAIT = 120


def picture(colour: str) -> bytes:
    image = Image.new("RGB", (128, 128), "navy")
    ImageDraw.Draw(image).ellipse((20, 10, 90, 80), fill=colour)
    return encode(image)


RED, GREEN = picture("red"), picture("green")
UNIT = ControlUnit(model="None", module="reference_only", image=RED)


class Published:
    """The method as diffusers' community pipeline has it, written anew: blocks whose `forward` is another,
    which writes into banks or reads from them. Layers, weights and order as in A1111's extension."""

    def __init__(self, unet: Any, negative: list[int], shares: Sequence[ReferenceShare]) -> None:
        self.unet, self.negative, self.shares = unet, negative, shares
        self.mode, self.share = "off", shares[0]
        self.old: list[tuple[Any, Any]] = []
        down, up = unet.down_blocks, unet.up_blocks
        blocks = [m for part in (down, unet.mid_block, up) for m in part.modules()
                  if isinstance(m, BasicTransformerBlock)]  # fmt: skip
        blocks = sorted(blocks, key=lambda m: -m.norm1.weight.shape[0])
        for number, block in enumerate(blocks):
            block.bank, block.weight_of = [], number / len(blocks)
            self.change(block, self.block_forward)
        wide = len(down) == 4
        ins: list[Any] = [unet.conv_in]
        for one in down:
            for index in range(len(one.resnets)):
                ins.append(one.attentions[index] if hasattr(one, "attentions") else one.resnets[index])
            ins += one.downsamplers or []
        outs: list[Any] = []
        for one in up:
            for index in range(len(one.resnets)):
                outs.append(one.attentions[index] if hasattr(one, "attentions") else one.resnets[index])
            if one.upsamplers:
                outs[-1] = one.upsamplers[0]
        inputs = [4, 5, 7, 8, 10, 11] if wide else [4, 5, 7, 8]
        outputs = list(range(8)) if wide else list(range(6))
        weights = [(unet.mid_block, 0.0)]
        weights += [(ins[n], 2 * (1 - k / len(inputs))) for k, n in enumerate(inputs)]
        weights += [(outs[n], 2 * k / len(outputs)) for k, n in enumerate(outputs)]
        for module, weight in weights:
            module.moments, module.weight_of = [], weight
            self.change(module, self.moment_forward(module.forward))

    def change(self, module: Any, forward: Any) -> None:
        self.old.append((module, module.forward))
        module.forward = MethodType(forward, module)

    def block_forward(self, block: Any, hidden: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
        context = more.get("encoder_hidden_states")
        normed = block.norm1(hidden)
        if self.mode == "write" and self.share.attends and self.share.weight > block.weight_of:
            block.bank.append((normed.clone(), self.share.fidelity))
        if self.mode == "read" and block.bank:
            uncond = block.attn1(normed, torch.cat([normed] + [kept for kept, _ in block.bank], dim=1))
            cond = uncond.clone()
            style = sum(one for _, one in block.bank) / len(block.bank)
            if self.negative and style > 1e-5:
                cond[self.negative] = block.attn1(normed[self.negative], normed[self.negative])
            attended = style * cond + (1 - style) * uncond
        else:
            attended = block.attn1(normed)
        hidden = attended + hidden
        hidden = block.attn2(block.norm2(hidden), context) + hidden
        return block.ff(block.norm3(hidden)) + hidden

    def moment_forward(self, before: Any) -> Any:
        def forward(module: Any, *args: Any, **more: Any) -> Any:
            given = before(*args, **more)
            x = given[0] if isinstance(given, tuple) else given
            mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
            if self.mode == "write" and self.share.moments and self.share.weight > module.weight_of:
                module.moments.append((mean, var, self.share.fidelity))
            if self.mode == "read" and module.moments:
                count = len(module.moments)
                wanted = sum(one for one, _, _ in module.moments) / count
                std = (
                    torch.maximum(sum(one for _, one, _ in module.moments) / count, torch.tensor(1e-6)) ** 0.5
                )
                uncond = (x - mean) / torch.maximum(var, torch.tensor(1e-6)) ** 0.5 * std + wanted
                cond = uncond.clone()
                style = sum(one for _, _, one in module.moments) / count
                if self.negative and style > 1e-5:
                    cond[self.negative] = x[self.negative]
                x = style * cond + (1 - style) * uncond
            return (x,) if isinstance(given, tuple) else x

        return lambda module, *args, **more: forward(module, *args, **more)

    def draw(
        self, latents: torch.Tensor, noisy: Sequence[torch.Tensor], *args: Any, **more: Any
    ) -> torch.Tensor:
        try:
            for share, one in zip(self.shares, noisy, strict=True):
                self.mode, self.share = "write", share
                self.unet(one.expand(len(latents), -1, -1, -1), *args, **more)
            self.mode = "read"
            return self.unet(latents, *args, **more)[0]
        finally:
            for module, _ in self.old:
                del module.forward  # the class has its own


ATTENDS = ReferenceShare(attends=True, moments=False, weight=1, fidelity=0.5)
MOMENTS = ReferenceShare(attends=False, moments=True, weight=1, fidelity=0.5)
BOTH = ReferenceShare(attends=True, moments=True, weight=2, fidelity=0.125)


@pytest.mark.parametrize(
    ("architecture", "shares"),
    [
        (Architecture.SD1, [ATTENDS]), (Architecture.SD1, [replace(ATTENDS, weight=0.4, fidelity=0)]),
        (Architecture.SD1, [MOMENTS]), (Architecture.SD1, [BOTH, replace(ATTENDS, fidelity=1)]),
        (Architecture.SDXL, [BOTH]), (Architecture.SDXL, [replace(MOMENTS, weight=0.7), ATTENDS]),
    ],
)  # fmt: skip
@torch.inference_mode()
def test_the_published_arithmetic(
    tmp_path: Path, architecture: Architecture, shares: list[ReferenceShare]
) -> None:
    """A call of the UNet is, but for rounding, what the published method makes of it, as written above."""
    unet = tiny(architecture, tmp_path).modules.backbone.eval()
    torch.manual_seed(0)
    rows, width = 3, unet.config.cross_attention_dim
    latents, tokens = torch.randn(1, 4, 32, 24), torch.randn(rows, 77, width)
    noisy = [torch.randn(1, 4, 32, 24) for _ in shares]
    added: dict[str, Any] = {}
    if architecture is Architecture.SDXL:
        pooled = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        added = {"text_embeds": torch.randn(rows, pooled), "time_ids": torch.ones(rows, 6) * 64}
    negative = torch.tensor([True, False, False])
    references = tuple(
        ShownReference(one, one, negative, share) for one, share in zip(noisy, shares, strict=True)
    )
    guidance = Guidance(tokens, None, (1.0,) * (rows - 1))
    call = BackboneCall(latents, torch.tensor(500.0), guidance, added, None, "kind", references=references)
    (found,) = call_unet(unet, [call], torch.float32)
    (plain,) = call_unet(unet, [replace(call, references=())], torch.float32)
    judged = Published(unet, [0], shares).draw(
        latents.expand(rows, -1, -1, -1), noisy, torch.tensor(500.0), tokens, return_dict=False,
        **({"added_cond_kwargs": added} if added else {}),
    )  # fmt: skip
    assert float((found - judged).abs().max()) < 2e-4
    assert float((plain - judged).abs().max()) > 1e-3


def test_what_the_unet_is_shown_and_by_which_share(tmp_path: Path) -> None:
    """As noisy as the step, by the seed alone; fidelity as the extension reads mode, pass and family."""
    levels = NoiseLevels.of_family(tiny(Architecture.SD1, tmp_path).family.scheduler_config, sdxl=False)
    latents = torch.full((1, 4, 64, 64), 3.0)

    def share(architecture: Architecture = Architecture.SD1, *, second: bool = False, **more: Any) -> float:
        unit = replace(UNIT, threshold_a=0.5, **more)
        of_pass = ReferenceOfPass(unit, latents, architecture, 7, second_pass=second)
        return of_pass.of_call(levels, 10, 2, 1).share.fidelity

    assert share() == 0.5
    assert share(Architecture.SDXL) == 0.125
    assert share(control_mode=ControlMode.CONTROL) == 1
    assert share(control_mode=ControlMode.PROMPT) == share(second=True) == 0
    one, other = (ReferenceOfPass(UNIT, latents, Architecture.SD1, 7, second_pass=False) for _ in range(2))
    first = one.of_call(levels, 600, 2, 1)
    assert torch.equal(first.noisy, other.of_call(levels, 600, 2, 1).noisy)
    assert float(first.noisy.mean()) == pytest.approx(3 * levels.kept(600) ** 0.5, abs=0.05)
    assert float(first.noisy.var()) == pytest.approx(1 - levels.kept(600), abs=0.05)
    assert first.negative.tolist() == [True, False]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("referred")
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    running = Engine(Store(root), default_checkpoint=STARTER.name)
    running.start()
    yield running
    running.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: Any) -> np.ndarray:
    (found,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)
    return np.asarray(found.image).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


def test_in_company_as_alone(engine: Engine) -> None:
    """Pictures of different people, with the same reference, another one, several and none, are drawn at the
    same time as each is alone."""
    both = replace(UNIT, module="reference_adain+attn", image=GREEN)
    asked = [(UNIT,), (replace(UNIT, image=GREEN),), (replace(UNIT, module="reference_adain"),),
             (both, replace(UNIT, guidance_end=0.5)), ()]  # fmt: skip
    alone = [draw(engine, *units) for units in asked]
    jobs = [
        engine.submit(f"person {number}", replace(ASKED, controls=units))
        for number, units in enumerate(asked)
    ]
    for job, before in zip(jobs, alone, strict=True):
        (together,) = job.result(WAIT)
        assert apart(np.asarray(together.image).astype(int), before) <= 2
    assert all(apart(one, alone[-1]) > 8 for one in alone[:-1])


def test_weight_range_fidelity_and_passes(engine: Engine) -> None:
    """Of weight nothing it counts for nothing; range, fidelity, and the passes of hires fix change the
    picture."""
    plain, whole = draw(engine), draw(engine, UNIT)
    assert apart(draw(engine, replace(UNIT, weight=0)), plain) <= 1
    for other in (replace(UNIT, guidance_start=0.5), replace(UNIT, threshold_a=1.0)):
        found = draw(engine, other)
        assert min(apart(found, whole), apart(found, plain)) > 2
    hires = HiresFix(scale=1.5, steps=3, denoising_strength=0.9)
    passes = [draw(engine, hires=hires)]
    passes += [draw(engine, replace(UNIT, passes=one), hires=hires) for one in ControlledPasses]
    assert all(apart(one, other) > 2 for number, one in enumerate(passes) for other in passes[:number])


def test_what_is_drawn_over_is_its_own_reference(engine: Engine) -> None:
    """A unit without a picture takes img2img's; a sampler that walks timesteps draws with one as well."""
    source = ImageToImage(images=(RED,), denoising_strength=0.9)
    own = draw(engine, replace(UNIT, image=b""), source=source, sampler="DDIM")
    assert apart(own, draw(engine, UNIT, source=source, sampler="DDIM")) <= 1
    assert apart(own, draw(engine, source=source, sampler="DDIM")) > 8
