"""Preprocessors with weights: each network's published arithmetic on random weights, written anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessor,
)

from easel.models import FileError, Store
from easel.studio.engine import InvalidRequest
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.annotator_files import ANNOTATORS
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode

Tensors = dict[str, torch.Tensor]
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS).resize((192, 128), Image.Resampling.BICUBIC)
SEEN = torch.from_numpy(np.asarray(PICTURE).copy()).permute(2, 0, 1)[None].float()


def weights(shapes: dict[str, tuple[int, ...]], spread: float = 1.0) -> Tensors:
    """Random ones that keep the signal's size, with biases."""
    noise = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in shapes.items():
        found[f"{name}.weight"] = torch.randn(shape, generator=noise) * spread / np.prod(shape[1:]) ** 0.5
        out = shape[1] if ".T" in name else shape[0]
        found[f"{name}.bias"] = torch.randn(out, generator=noise) * 0.1
    return found


def hed() -> tuple[Tensors, np.ndarray]:
    """ControlNet's own class, as its repository has it: five stages of convolutions, pooled between."""
    widths, counts = (3, 4, 6, 8, 8, 8), (2, 2, 3, 3, 3)
    shapes: dict[str, tuple[int, ...]] = {}
    for stage, count in enumerate(counts, 1):
        for number in range(count):
            before = widths[stage - 1] if number == 0 else widths[stage]
            shapes[f"block{stage}.convs.{number}"] = (widths[stage], before, 3, 3)
        shapes[f"block{stage}.projection"] = (1, widths[stage], 1, 1)
    tensors = {**weights(shapes, 1.4), "norm": torch.full((1, 3, 1, 1), 120.0)}
    for name in tensors:
        if "projection.weight" in name:
            tensors[name] *= 0.02
    x, edges = SEEN - tensors["norm"], []
    for stage, count in enumerate(counts, 1):
        if stage > 1:
            x = F.max_pool2d(x, 2, 2)
        for number in range(count):
            name = f"block{stage}.convs.{number}"
            x = torch.relu(F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1))
        name = f"block{stage}.projection"
        said = F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        edges.append(F.interpolate(said, (128, 192), mode="bilinear")[0, 0].numpy())
    found = 1 / (1 + np.exp(-np.mean(np.stack(edges, axis=2), axis=2).astype(np.float64)))
    return tensors, (found * 255).clip(0, 255).astype(np.uint8)


def drawing() -> tuple[Tensors, np.ndarray]:
    """The generator of "informative drawings", layer after layer; black lines, turned white."""
    shapes: dict[str, tuple[int, ...]] = {
        "model0.1": (8, 3, 7, 7),
        "model1.0": (16, 8, 3, 3),
        "model1.3": (32, 16, 3, 3),
    }
    for block in range(3):
        shapes |= {f"model2.{block}.conv_block.{one}": (32, 32, 3, 3) for one in (1, 5)}
    tensors = weights(shapes) | weights({"model4.1": (1, 8, 7, 7)}, 4)
    for name, shape in {"model3.0": (32, 16, 3, 3), "model3.3": (16, 8, 3, 3)}.items():
        tensors |= {f"{name}.weight": torch.randn(shape) / 12, f"{name}.bias": torch.zeros(shape[1])}

    def conv(x: torch.Tensor, name: str, reflect: int = 0, **how: Any) -> torch.Tensor:
        x = F.pad(x, (reflect,) * 4, mode="reflect") if reflect else x
        return F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], **how)

    def up(x: torch.Tensor, name: str) -> torch.Tensor:
        how = {"stride": 2, "padding": 1, "output_padding": 1}
        return F.conv_transpose2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], **how)

    x = torch.relu(F.instance_norm(conv(SEEN / 255, "model0.1", 3)))
    for name in ("model1.0", "model1.3"):
        x = torch.relu(F.instance_norm(conv(x, name, stride=2, padding=1)))
    for block in range(3):
        inner = torch.relu(F.instance_norm(conv(x, f"model2.{block}.conv_block.1", 1)))
        x = x + F.instance_norm(conv(inner, f"model2.{block}.conv_block.5", 1))
    for name in ("model3.0", "model3.3"):
        x = torch.relu(F.instance_norm(up(x, name)))
    line = torch.sigmoid(conv(x, "model4.1", 3))[0, 0].numpy()
    return tensors, 255 - (line * 255).clip(0, 255).astype(np.uint8)


def anime() -> tuple[Tensors, np.ndarray]:
    """pix2pix' U-Net by hand: eight times down, seven times up again beside what came past, once out."""
    widths = [4 * one for one in (1, 2, 4, 8, 8, 8, 8, 8)]
    tensors: Tensors = {}
    noise = torch.Generator().manual_seed(1)
    downs, ups = [], []
    for level in range(8):
        start = "module.model" + ".model.1" * (level > 0) + ".model.3" * (level - 1) + ".model."
        before = 3 if level == 0 else widths[level - 1]
        innermost = level == 7
        down, up = f"{start}{0 if level == 0 else 1}", f"{start}{3 if level == 0 or innermost else 5}"
        inside, out = widths[level] * (1 if innermost else 2), 1 if level == 0 else before
        for name, shape, bias in (
            (down, (widths[level], before, 4, 4), widths[level]),
            (up, (inside, out, 4, 4), out),
        ):
            tensors[f"{name}.weight"] = torch.randn(shape, generator=noise) / (shape[1] * 8) ** 0.5
            tensors[f"{name}.bias"] = torch.randn(bias, generator=noise) * 0.1
        downs.append(down)
        ups.append(up)
    size = (256, 256)
    x = F.interpolate(SEEN / 255, size, mode="bicubic").clamp(0, 1) * 2 - 1
    past = []
    for level, name in enumerate(downs):
        if level:
            x = F.leaky_relu(x, 0.2)
            past.append(x)
        x = F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride=2, padding=1)
        if 0 < level < 7:
            x = F.instance_norm(x)
    for level in reversed(range(8)):
        x = F.conv_transpose2d(
            torch.relu(x), tensors[f"{ups[level]}.weight"], tensors[f"{ups[level]}.bias"], stride=2, padding=1
        )
        x = torch.cat([past[level - 1], F.instance_norm(x)], dim=1) if level else torch.tanh(x)
    line = F.interpolate(x, (128, 192), mode="bicubic")[0, 0].numpy() * 127.5 + 127.5
    return tensors, 255 - line.clip(0, 255).astype(np.uint8)


def depth() -> tuple[Tensors, np.ndarray]:
    """transformers' own model and image processor."""
    backbone = Dinov2Config(
        hidden_size=64, num_attention_heads=1, num_hidden_layers=4, image_size=56, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    torch.manual_seed(0)
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=64,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
    )
    model = DepthAnythingForDepthEstimation(config).eval()
    for parameter in model.head.parameters():
        parameter.data = parameter.data.abs() * 3  # or its last nonlinearity leaves nothing
    processor = DPTImageProcessor(size={"height": 56, "width": 56}, keep_aspect_ratio=True,
                                  ensure_multiple_of=14, image_mean=[0.485, 0.456, 0.406],
                                  image_std=[0.229, 0.224, 0.225])  # fmt: skip
    with torch.inference_mode():
        given = processor(PICTURE, return_tensors="pt").pixel_values
        found = model(given).predicted_depth
    found = F.interpolate(found[:, None], (128, 192), mode="bilinear")[0, 0]
    found = (found - found.min()) / (found.max() - found.min())
    tensors = {name: one.clone() for name, one in model.state_dict().items()}
    return tensors, (found * 255).numpy().astype(np.uint8)


MADE: list[tuple[str, str, Callable[[], tuple[Tensors, np.ndarray]]]] = [
    ("softedge_hed", "ControlNetHED", hed),
    ("lineart", "sk_model", drawing),
    ("lineart_coarse", "sk_model2", drawing),
    ("lineart_anime", "netG", anime),
    ("depth_anything", "depth-anything-small-hf", depth),
    ("depth_anything_v2", "depth_anything_v2_vits", depth),
]


def stored(root: Path, names: list[str], tensors: Tensors) -> Store:
    folder = root / "ControlNetPreprocessor" / "annotators"
    folder.mkdir(parents=True)
    for name in names:
        save_file({key: one.contiguous() for key, one in tensors.items()}, folder / f"{name}.safetensors")
    return Store(root)


@pytest.mark.parametrize(("module", "file", "made"), MADE)
def test_the_published_arithmetic(tmp_path: Path, module: str, file: str, made: Any) -> None:
    """The map of a picture, but for rounding by one or two of 255, and of something that is in it."""
    tensors, wanted = made()
    store = stored(tmp_path, [file], tensors)
    found = np.asarray(detected_map(preprocessor(module), store, encode(PICTURE), 128, -1, -1))[
        ..., 0
    ].astype(int)
    assert found.shape == wanted.shape
    assert found.std() > 2
    off = np.abs(found - wanted.astype(int))
    assert float(np.quantile(off, 0.999)) <= 2, (off.max(), off.mean())


def test_any_size_and_the_safe_steps(tmp_path: Path) -> None:
    """Sides that nothing divides come as they are asked for; `softedge_hedsafe` has three values."""
    store = stored(tmp_path, ["ControlNetHED"], hed()[0])
    odd = encode(PICTURE.resize((101, 67)))
    soft = np.asarray(detected_map(preprocessor("hed"), store, odd, 67, -1, -1))
    safe = np.asarray(detected_map(preprocessor("softedge_hedsafe"), store, odd, 67, -1, -1))
    assert soft.shape == safe.shape == (67, 101, 3)
    assert set(np.unique(safe)) <= {0, 127, 255}


@pytest.mark.parametrize("module", sorted(ANNOTATORS))
def test_what_is_missing_is_said(tmp_path: Path, module: str) -> None:
    """Which file, and where it belongs; of a file of something else that it is that."""
    with pytest.raises(InvalidRequest, match=r"models/ControlNetPreprocessor: this one needs .*safetensors"):
        detected_map(preprocessor(module), Store(tmp_path), encode(PICTURE), 128, -1, -1)
    store = stored(tmp_path, [one.stems[0] for one in ANNOTATORS[module].files], {"x": torch.zeros(1)})
    with pytest.raises(FileError, match="not the network"):
        detected_map(preprocessor(module), store, encode(PICTURE), 128, -1, -1)
