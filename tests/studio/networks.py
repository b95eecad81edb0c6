"""LoRA, embedding and VAE files made for the starter, and ones that are wrong in every way there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from easel.models import Architecture
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.families import family

STARTER = Path(__file__).parents[2] / "image" / "starter" / "easel-starter.safetensors"
Tensors = dict[str, torch.Tensor]
# (part, module): down, up
Pairs = dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor]]


def pairs(
    seed: int, *, parts: tuple[str, ...] = ("unet", "text"), strength: float = 0.3, rank: int = 4
) -> Pairs:
    """Random matrices for the starter's attention, its text encoder's, and some convolutions."""
    modules = skeleton(family(Architecture.STARTER))
    noise = torch.Generator().manual_seed(seed)
    found: Pairs = {}
    for part, top in (("unet", modules.backbone), ("text", modules.text_encoders[0])):
        for name, one in top.named_modules() if part in parts else ():
            if isinstance(one, torch.nn.Linear) and ("attn" in name or name.endswith("proj_in")):
                shapes = (rank, one.in_features), (one.out_features, rank)
            elif isinstance(one, torch.nn.Conv2d) and name.endswith(("conv1", "conv_shortcut", "proj_in")):
                shapes = (rank, one.in_channels, *one.kernel_size), (one.out_channels, rank, 1, 1)
            else:
                continue
            down, up = (torch.randn(shape, generator=noise) for shape in shapes)
            found[part, name] = down / down[0].numel() ** 0.5, up * strength
    assert found
    return found


def kohya(found: Pairs, alpha: float | None = 4.0) -> Tensors:
    """As kohya's scripts write it; the text encoder with the names it had before it was flattened."""
    tensors: Tensors = {}
    for (part, name), (down, up) in found.items():
        base = ("lora_unet_" if part == "unet" else "lora_te_text_model_") + name.replace(".", "_")
        tensors[f"{base}.lora_down.weight"], tensors[f"{base}.lora_up.weight"] = down.clone(), up.clone()
        if alpha is not None:
            tensors[f"{base}.alpha"] = torch.tensor(alpha)
    return tensors


def peft(found: Pairs) -> Tensors:
    """As diffusers and PEFT write it: no alpha, the rank counts as one."""
    tensors: Tensors = {}
    for (part, name), (down, up) in found.items():
        base = ("unet." if part == "unet" else "text_encoder.text_model.") + name
        tensors[f"{base}.lora_A.weight"], tensors[f"{base}.lora_B.weight"] = down.clone(), up.clone()
    return tensors


def old_diffusers(found: Pairs) -> Tensors:
    """As diffusers wrote attention in 2023: layers in processors. UNet attention only."""
    tensors: Tensors = {}
    for (part, name), (down, up) in found.items():
        assert part == "unet"
        assert ".attn" in name
        block, _, layer = name.removesuffix(".0").rpartition(".")
        base = f"unet.{block}.processor.{layer}_lora"
        tensors[f"{base}.down.weight"], tensors[f"{base}.up.weight"] = down.clone(), up.clone()
    return tensors


def own_vae() -> Tensors:
    """The starter's own VAE, as a file of its own would hold it."""
    return {name: one for name, one in load_file(STARTER).items() if name.startswith("first_stage_model.")}


def write(path: Path, tensors: Tensors, **metadata: str) -> Path:
    """A safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, path, metadata or None)
    return path


def embedding(count: int = 2, width: int = 64, seed: int = 5, strength: float = 1.0) -> torch.Tensor:
    """Vectors of a textual inversion."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) * strength


_ATTENTION = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
_GOOD = f"lora_unet_{_ATTENTION}"
_NORM = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_norm1"


def _pair(name: str = _GOOD, down: tuple[int, ...] = (4, 64), up: tuple[int, ...] = (96, 4)) -> Tensors:
    return {f"{name}.lora_down.weight": torch.ones(down), f"{name}.lora_up.weight": torch.ones(up)}


def _halves(second: int = 4) -> Tensors:
    shapes = {"w1_a": (96, 4), "w1_b": (4, 64), "w2_a": (96, 4), "w2_b": (second, 64)}
    return {f"{_GOOD}.hada_{name}": torch.ones(shape) for name, shape in shapes.items()}


def _only(role: str) -> Tensors:
    return {name: one for name, one in _pair().items() if f".lora_{role}." in name}


def _with(tensors: Tensors, **more: torch.Tensor) -> Tensors:
    return tensors | {f"{_GOOD}.{name.replace('__', '.')}": one for name, one in more.items()}


# What is wrong with it, how it is made, and a word of the sentence that refuses it.
BAD: dict[str, tuple[Callable[[], Tensors | bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "page": (lambda: b"<!doctype html><html><title>Sign in</title>" + b" " * 2000, "HTML"),
    "pickle": (lambda: b"PK\x03\x04" + b"archive/data.pkl" * 100, "pickle"),
    "lying": (lambda: (1 << 40).to_bytes(8, "little") + b"{" * 100, "safetensors"),
    "no-tensors": (lambda: {}, "not a LoRA"),
    "checkpoint": (
        lambda: {"model.diffusion_model.input_blocks.0.0.weight": torch.ones(8, 4, 3, 3)},
        "not a LoRA",
    ),
    "vae": (lambda: {"decoder.conv_in.weight": torch.ones(8, 4, 3, 3)}, "a VAE"),
    "embedding": (lambda: {"emb_params": torch.ones(2, 64)}, "embedding"),
    "sd1": (lambda: _pair(down=(4, 768), up=(320, 4)), "SD 1.x"),
    "sd2": (lambda: _pair(down=(4, 1024), up=(320, 4)), "SD 2.x"),
    "sdxl": (
        lambda: _pair("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", (4, 2048), (640, 4)),
        "SDXL",
    ),
    "sdxl-text": (
        lambda: _pair("lora_te2_text_model_encoder_layers_31_mlp_fc1", (4, 1280), (5120, 4)),
        "SDXL",
    ),
    "flux": (lambda: _pair("lora_unet_double_blocks_0_img_attn_qkv", (4, 3072), (9216, 4)), "FLUX"),
    "unknown-blocks": (lambda: _pair("lora_unet_input_blocks_99_9_x"), "another kind of model"),
    "dora-shape": (lambda: _with(_pair(), dora_scale=torch.ones(48, 2)), "dora_scale"),
    "dora-alone": (lambda: {f"{_GOOD}.dora_scale": torch.ones(96, 1)}, "matrix of"),
    "dora-nan": (lambda: _with(_pair(), dora_scale=torch.ones(96, 1) / 0), "numbers that are none"),
    "loha-half": (
        lambda: {f"{_GOOD}.hada_w1_a": torch.ones(96, 4), f"{_GOOD}.hada_w1_b": torch.ones(4, 64)},
        "hada_w2_",
    ),
    "loha-ranks": (lambda: _halves(second=8), "do not fit each other"),
    "loha-core": (lambda: _with(_halves(), hada_t1=torch.ones(4, 4, 3, 3)), "made for"),
    "lokr-half": (lambda: {f"{_GOOD}.lokr_w1": torch.ones(4, 4), f"{_GOOD}.lokr_w2_a": torch.ones(24, 4)},
                  "lokr_w2_b"),
    "lokr-width": (lambda: {f"{_GOOD}.lokr_w1": torch.ones(4, 4), f"{_GOOD}.lokr_w2": torch.ones(24, 15)},
                   "made for"),
    "oft-width": (lambda: {f"{_GOOD}.oft_blocks": torch.zeros(4, 25, 25)}, "made for"),
    "oft-oblong": (lambda: {f"{_GOOD}.oft_blocks": torch.zeros(4, 24, 23)}, "no square"),
    "boft-stages": (lambda: {f"{_GOOD}.oft_blocks": torch.zeros(9, 24, 4, 4)}, "stages"),
    "oft-peft": (lambda: _with(_pair(), oft_R__weight=torch.ones(4, 6)), "OFT as PEFT"),
    "nunchaku": (lambda: {"transformer_blocks.0.mlp_fc1.lora_down": torch.ones(64, 16),
                          "transformer_blocks.0.mlp_fc1.lora_up": torch.ones(96, 16)},
                 "nunchaku's own order"),
    "full-width": (lambda: {f"{_GOOD}.diff": torch.ones(95, 64)}, "made for"),
    "norm-width": (lambda: {f"{_NORM}.w_norm": torch.ones(95)}, "made for"),
    "lora-of-a-norm": (lambda: _pair(_NORM, (4, 96), (96, 4)), "is a norm"),
    "ia3-half": (lambda: {f"{_GOOD}.on_input": torch.ones(())}, "weight matrix"),
    "ia3-side": (lambda: {f"{_GOOD}.on_input": torch.ones(()), f"{_GOOD}.weight": torch.ones(96)},
                 "made for"),
    "glora-half": (lambda: {f"{_GOOD}.a1.weight": torch.ones(64, 4)}, "matrix of"),
    "two-kinds": (lambda: _with(_pair(), diff=torch.ones(96, 64)), "not understood"),
    "third-of-a-matrix": (lambda: _with(_pair(), lora_mid__weight=torch.ones(4, 4, 3, 3)), "third matrix"),
    "gigantic-rank": (lambda: _pair(down=(4000, 64), up=(96, 4000)), "rank 4000"),
    "no-up": (lambda: _only("down"), "up matrix"),
    "no-down": (lambda: _only("up"), "down matrix"),
    "ranks": (lambda: _pair(up=(96, 8)), "do not fit each other"),
    "rank-zero": (lambda: _pair(down=(0, 64), up=(96, 0)), "do not fit each other"),
    "turned": (lambda: _pair(down=(64, 4), up=(4, 96)), "made for"),
    "three-dimensions": (lambda: _pair(down=(4, 64, 1), up=(96, 4, 1)), "not a matrix"),
    "kernel": (lambda: _pair(down=(4, 64, 3, 3), up=(96, 4, 1, 1)), "another shape"),
    "nan": (lambda: {name: one * float("nan") for name, one in _pair().items()}, "numbers that are none"),
    "infinite-alpha": (lambda: _with(_pair(), alpha=torch.tensor(float("inf"))), "numbers that are none"),
    "many-alphas": (lambda: _with(_pair(), alpha=torch.ones(3)), "not a single number"),
    "whole-numbers": (lambda: {name: one.int() for name, one in _pair().items()}, "I32"),
}  # fmt: skip


def bad(path: Path, how: str) -> str:
    """Write the file that is wrong in this way; returns a word of the refusal."""
    make, word = BAD[how]
    path.parent.mkdir(parents=True, exist_ok=True)
    made = make()
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        write(path, made)
    return word
