"""ControlNet-LLLite: the published arithmetic, written anew here as hooks of diffusers' own UNet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionXLPipeline
from PIL import Image, ImageDraw

from easel.models import Architecture, Kind, Store, UnknownArchitecture, read_header, small_kind
from easel.models.base_family import family_of_header
from easel.studio.engine import ControlMode, ControlUnit, TextToImage
from easel.studio.engine.control_models.control_file import load_control
from easel.studio.engine.control_models.controls import prepared_controls
from easel.studio.engine.control_models.lite_control import has_lite
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.picture import Picture, call_unet
from easel.studio.engine.queue.job import Job
from easel.studio.engine.serving import Serving
from easel.studio.engine.texts.picture_prompts import picture_prompts
from easel.studio.png import encode
from tests.studio.engine.control.driving import CPU, drawn, in_memory, stored
from tests.studio.engine.control.test_families import ASKED, RING, judged
from tests.studio.engine.tiny import Tiny, tiny

Tensors = dict[str, torch.Tensor]
# Where SDXL has transformers: the original code's names, and diffusers' for the same.
BLOCKS = {
    **{f"input_blocks_{3 * block + 1 + one}_1": f"down_blocks.{block}.attentions.{one}"
       for block in (1, 2) for one in (0, 1)},
    "middle_block_1": "mid_block.attentions.0",
    **{f"output_blocks_{3 * block + one}_1": f"up_blocks.{block}.attentions.{one}"
       for block in (0, 1) for one in (0, 1, 2)},
}  # fmt: skip
SQUARE = Image.new("RGB", (128, 128))
ImageDraw.Draw(SQUARE).rectangle((30, 40, 100, 110), outline="white", width=6)
UNIT = ControlUnit(model="lite", image=encode(RING), weight=0.8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(Architecture.SDXL, tmp_path_factory.mktemp("sdxl"))


def paths(unet: Any) -> Iterator[tuple[str, str, Any]]:
    """The names of a file's parts, and the layers that they stand before."""
    for ours, theirs in BLOCKS.items():
        for number, _ in enumerate(unet.get_submodule(theirs).transformer_blocks):
            for layer in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn2.to_q"):
                path = f"{theirs}.transformer_blocks.{number}.{layer}"
                name = f"lllite_unet_{ours}_transformer_blocks_{number}_{layer.replace('.', '_')}"
                yield name, path, unet.get_submodule(path)


def made(unet: Any, wide: int = 8, narrow: int = 16) -> Tensors:
    """A file's tensors: pictures are seen at the size of each layer, in two steps or three."""
    found: Tensors = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)

        def layer(name: str, *shape: int) -> None:
            size = float(np.prod(shape[1:]))
            found[f"{name}.weight"], found[f"{name}.bias"] = (
                torch.randn(shape) / size**0.5,
                torch.randn(shape[0]) / 9,
            )

        for name, path, linear in paths(unet):
            deep = "down_blocks.2" in path or "mid_block" in path or "up_blocks.0" in path
            layer(f"{name}.conditioning1.0", wide // 2, 3, 4, 4)
            if deep:
                layer(f"{name}.conditioning1.2", wide // 2, wide // 2, 4, 4)
                layer(f"{name}.conditioning1.4", wide, wide // 2, 2, 2)
            else:
                layer(f"{name}.conditioning1.2", wide, wide // 2, 4, 4)
            layer(f"{name}.down.0", narrow, linear.in_features)
            layer(f"{name}.mid.0", narrow, narrow + wide)
            layer(f"{name}.up.0", linear.in_features, narrow)
            found[f"{name}.up.0.weight"] *= 4
    return found


@contextmanager
def as_published(unet: Any, tensors: Tensors, shown: Image.Image, weight: float) -> Iterator[None]:
    """kohya's arithmetic before each projection, with the extension's fit where sizes do not divide."""
    picture = torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None].float() / 255 * 2 - 1

    def added(name: str, x: torch.Tensor) -> torch.Tensor:
        def conv(number: int, seen: torch.Tensor) -> torch.Tensor:
            kernel = tensors[f"{name}.conditioning1.{number}.weight"]
            return F.conv2d(seen, kernel, tensors[f"{name}.conditioning1.{number}.bias"], kernel.shape[-1])

        def linear(part: str, hidden: torch.Tensor) -> torch.Tensor:
            return F.linear(hidden, tensors[f"{name}.{part}.0.weight"], tensors[f"{name}.{part}.0.bias"])

        seen = conv(2, conv(0, picture).relu())
        if f"{name}.conditioning1.4.weight" in tensors:
            seen = conv(4, seen.relu())
        across = -(-shown.width // (16 if f"{name}.conditioning1.4.weight" not in tensors else 32))
        seen = F.interpolate(seen, (x.shape[1] // across, across), mode="nearest-exact")
        seen = seen.flatten(2).permute(0, 2, 1).repeat(len(x), 1, 1)
        return linear("up", linear("mid", torch.cat([seen, linear("down", x).relu()], 2)).relu()) * weight

    hooks = [
        linear.register_forward_pre_hook(lambda _, args, name=name: (args[0] + added(name, args[0]),))
        for name, _, linear in paths(unet)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def off(one: Any, other: Any) -> int:
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


@pytest.mark.slow
def test_it_is_as_published(small: Tiny, tmp_path: Path) -> None:
    """diffusers' pipeline with the published arithmetic in its UNet draws the same picture; it counts by its
    weight, in its steps, where its region is, for the negative prompt too whatever its mode."""
    unet = small.modules.backbone
    tensors = made(unet)
    stored(tmp_path, "lite", tensors)
    with as_published(unet, tensors, RING, UNIT.weight):
        theirs = judged(small, StableDiffusionXLPipeline, {}, {})

    def ours(**said: Any) -> np.ndarray:
        return np.asarray(
            drawn(in_memory(small), replace(ASKED, controls=(replace(UNIT, **said),)), tmp_path)
        )

    plain = np.asarray(drawn(in_memory(small), ASKED, tmp_path))
    assert off(ours(), theirs) <= 4
    assert off(ours(control_mode=ControlMode.CONTROL), theirs) <= 4
    assert off(ours(), plain) > 8
    assert off(ours(weight=0.0), plain) == 0
    assert off(ours(region=encode(Image.new("L", (128, 128)))), plain) == 0


def test_sizes_that_do_not_divide(small: Tiny, tmp_path: Path) -> None:
    """What is seen of the picture is brought to the size of the layer."""
    unet = small.modules.backbone
    tensors = made(unet)
    stored(tmp_path, "lite", tensors)
    wide = RING.resize((136, 128))
    asked = replace(ASKED, width=136, controls=(replace(UNIT, image=encode(wide), weight=1.0),))
    found = drawn(in_memory(small), asked, tmp_path)
    with as_published(unet, tensors, wide, 1.0):
        theirs = drawn(in_memory(small), replace(asked, controls=()), tmp_path)
    assert off(found, theirs) <= 1


@torch.inference_mode()
def test_in_company_each_has_its_own(small: Tiny, tmp_path: Path) -> None:
    """Two pictures with other maps and weights in one call, and two units before one layer."""
    unet = small.modules.backbone
    stored(tmp_path, "lite", made(unet))
    store, whole = Store(tmp_path), in_memory(small)
    serving, waiting = Serving(whole), []
    second = replace(UNIT, image=encode(SQUARE), weight=0.3)
    for controls in ((UNIT, second), (second, UNIT)):
        asked = replace(ASKED, controls=controls).resolved()
        job = Job("ada", asked, whole.file, prompts=picture_prompts(asked, store),
                  controls=prepared_controls(asked, store, ()))  # fmt: skip
        serving.control_models.need(job.controls)
        picture = Picture(job, 0)
        picture.begin(serving)
        waiting.append(picture.call)
    assert all(has_lite(one.controls) for one in waiting), "such a call is not made of compiled blocks"
    alone = [call_unet(unet, [one], torch.float32)[0] for one in waiting]
    together = call_unet(unet, waiting, torch.float32)
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert torch.allclose(alone[0], alone[1], atol=1e-4), "the order of units says nothing"


def test_what_it_is(small: Tiny, tmp_path: Path) -> None:
    """Told from its header; with a note that its mode counts for nothing; refused beside what it was not made
    for, and where it stands before layers that are not known."""
    unet = small.modules.backbone
    file = stored(tmp_path, "lite", made(unet))
    header = read_header(file.path)
    assert small_kind(header) == (Kind.CONTROLNET, "a ControlNet-LLLite")
    assert family_of_header(Kind.CONTROLNET, header) == "sdxl"
    asked = replace(ASKED, controls=(replace(UNIT, control_mode=ControlMode.PROMPT),))
    (prepared,) = prepared_controls(asked, Store(tmp_path), ())
    assert "LLLite" in prepared.notes[0]
    first = in_memory(tiny(Architecture.SD1, tmp_path / "sd1"))
    with pytest.raises(OtherArchitecture, match="another family"):
        load_control(file, first, CPU)
    odd = {name.replace("attn1_to_q", "ff_net_0"): one for name, one in made(unet).items()}
    with pytest.raises(UnknownArchitecture, match="ff_net_0"):
        load_control(stored(tmp_path, "odd", odd), in_memory(small), CPU)
    half = {name: one for name, one in made(unet).items() if not name.endswith("attn2_to_q.mid.0.weight")}
    with pytest.raises(UnknownArchitecture, match=r"mid\.0\.weight"):
        load_control(stored(tmp_path, "half", half), in_memory(small), CPU)


@pytest.mark.slow
def test_half_precision(small: Tiny, tmp_path: Path) -> None:
    """As on a GPU: the picture is alike."""
    half = tiny(Architecture.SDXL, tmp_path / "half")
    stored(tmp_path, "lite", made(half.modules.backbone))
    request: TextToImage = replace(ASKED, controls=(UNIT,))
    whole = in_memory(half)
    exact = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    for module in (whole.backbone, whole.vae, *whole.text_encoders):
        module.to(torch.bfloat16)
    whole.dtype = torch.bfloat16
    rough = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    assert float(np.abs(exact - rough).mean()) < 12
