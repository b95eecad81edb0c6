"""ZoeDepth: transformers' own model, image processor and post-processing on random weights, from a file in
its authors' names and in transformers'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation, ZoeDepthImageProcessor

from easel.models import FileError, Store
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.png import encode

Tensors = dict[str, torch.Tensor]
WIDTH, BINS = 64, 16
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS).resize((192, 128), Image.Resampling.BICUBIC)
_PLACES = "relative_position_bias_table"
BLOCK = {
    "attention.attention.query.bias": "attn.q_bias", "attention.attention.value.bias": "attn.v_bias",
    f"attention.attention.relative_position_bias.{_PLACES}": f"attn.{_PLACES}",
    "attention.output.dense.": "attn.proj.", "layernorm_before.": "norm1.", "layernorm_after.": "norm2.",
    "intermediate.dense.": "mlp.fc1.", "output.dense.": "mlp.fc2.",
    "lambda_1": "gamma_1", "lambda_2": "gamma_2",
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ZoeDepthForDepthEstimation:
    """Small, and as sure of some places as of others."""
    torch.manual_seed(0)
    backbone = BeitConfig(
        image_size=64, patch_size=16, num_hidden_layers=4, hidden_size=WIDTH, intermediate_size=96,
        num_attention_heads=1, use_relative_position_bias=True, reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"], layer_scale_init_value=1.0,
    )  # fmt: skip
    config = ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 16, 24, 24], fusion_hidden_size=16,
        bottleneck_features=16, num_relative_features=8, bin_embedding_dim=16, num_attractors=[8, 4, 2, 1],
        bin_configurations=[{"name": "nyu", "n_bins": BINS, "min_depth": 1e-3, "max_depth": 10.0}],
    )  # fmt: skip
    found = ZoeDepthForDepthEstimation(config).eval()
    for parameter in found.parameters():
        parameter.data += torch.randn_like(parameter) * (0.3 if parameter.dim() == 1 else 0.1)
    return found


@pytest.fixture(scope="module")
def published(model: ZoeDepthForDepthEstimation, tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """In transformers' published names, whatever this release calls its modules."""
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("zoe")
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def authors(tensors: Tensors) -> Tensors:
    """The same as in `ZoeD_M12_N`, with what lies there beside it."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        start, _, rest = name.partition(".")
        if name.startswith("backbone.encoder.layer."):
            number, rest = name.removeprefix("backbone.encoder.layer.").split(".", 1)
            block = f"core.core.pretrained.model.blocks.{number}"
            if rest.endswith("query.weight"):
                start = name.removesuffix("query.weight")
                parts = [tensors[f"{start}{one}.weight"] for one in ("query", "key", "value")]
                found[f"{block}.attn.qkv.weight"] = torch.cat(parts)
            elif not rest.endswith(("key.weight", "value.weight")):
                (ours,) = [one for one in BLOCK if rest.startswith(one)]
                found[f"{block}.{rest.replace(ours, BLOCK[ours])}"] = tensor
        elif start == "backbone":
            rest = rest.removeprefix("embeddings.").replace("patch_embeddings.projection", "patch_embed.proj")
            found[f"core.core.pretrained.model.{rest}"] = tensor
        elif rest.startswith("reassemble_stage."):
            _, what, number, *more = rest.split(".")
            kind = {"readout_projects": "0.project", "projection": "3", "resize": "4"}
            more = [kind[what], *more] if what in kind else [kind[more[0]], *more[1:]]
            found[f"core.core.pretrained.act_postprocess{int(number) + 1}.{'.'.join(more)}"] = tensor
        elif rest.startswith("convs."):
            _, number, what = rest.split(".")
            found[f"core.core.scratch.layer{int(number) + 1}_rn.{what}"] = tensor
        elif rest.startswith("fusion_stage."):
            _, _, number, *more = rest.split(".")
            last = ".".join(more).replace("residual_layer", "resConfUnit").replace("convolution", "conv")
            last = last.replace("projection", "out_conv")
            found[f"core.core.scratch.refinenet{4 - int(number)}.{last}"] = tensor
        elif start == "relative_head":
            places = {"conv1": "0", "conv2": "2", "conv3": "4"}
            layer, what = rest.split(".")
            found[f"core.core.scratch.output_conv.{places[layer]}.{what}"] = tensor
        else:
            inner = (
                rest
                if rest.startswith("conv2")
                else rest.replace("conv1", "_net.0").replace("conv2", "_net.2")
            )
            found[inner] = tensor
    found["core.core.pretrained.model.head.weight"] = torch.zeros(10, WIDTH)
    found["core.core.pretrained.model.fc_norm.weight"] = torch.zeros(WIDTH)
    found["core.core.pretrained.model.blocks.0.attn.relative_position_index"] = torch.zeros(17, 17).long()
    found["conditional_log_binomial.log_binomial_transform.k_idx"] = torch.arange(BINS).reshape(1, -1, 1, 1)
    found["conditional_log_binomial.log_binomial_transform.K_minus_1"] = torch.tensor([[[[BINS - 1]]]])
    return found


@pytest.fixture(scope="module")
def wanted(model: ZoeDepthForDepthEstimation) -> np.ndarray:
    """Of the picture and its mirror image, by transformers; white between the 2nd and the 85th percentile."""
    processor = ZoeDepthImageProcessor(ensure_multiple_of=32)
    given = processor(PICTURE, return_tensors="pt").pixel_values
    with torch.inference_mode():
        found = processor.post_process_depth_estimation(
            model(given), source_sizes=[(128, 192)], outputs_flipped=model(given.flip(3))
        )
    depth = found[0]["predicted_depth"].numpy()
    least, most = np.percentile(depth, 2), np.percentile(depth, 85)
    return ((1 - (depth - least) / (most - least)) * 255).clip(0, 255)


def stored(root: Path, name: str, tensors: Tensors) -> Store:
    folder = root / "ControlNetPreprocessor"
    folder.mkdir(parents=True)
    save_file({key: one.contiguous() for key, one in tensors.items()}, folder / f"{name}.safetensors")
    return Store(root)


@pytest.mark.parametrize("layout", ["authors", "transformers"])
def test_it_is_transformers_own(tmp_path: Path, published: Tensors, wanted: np.ndarray, layout: str) -> None:
    """From both layouts, by 2 of 255, of something that is in the picture."""
    name, tensors = "zoedepth-nyu", published
    if layout == "authors":
        name, tensors = "ZoeD_M12_N", authors(published)
        assert "core.core.pretrained.act_postprocess1.0.project.0.weight" in tensors
    store = stored(tmp_path, name, tensors)
    found = np.asarray(detected_map(preprocessor("depth_zoe"), store, encode(PICTURE), 128, -1, -1))[..., 0]
    assert found.shape == wanted.shape
    assert found.std() > 20
    off = np.abs(found.astype(int) - wanted)
    assert float(np.quantile(off, 0.999)) <= 2, (off.max(), off.mean())


def test_what_is_missing_is_said(tmp_path: Path, published: Tensors) -> None:
    """By the tensor's name."""
    less = {name: one for name, one in published.items() if name != "relative_head.conv1.bias"}
    store = stored(tmp_path, "ZoeD_M12_N", less)
    with pytest.raises(FileError, match=r"relative_head\.conv1\.bias is missing"):
        detected_map(preprocessor("depth_zoe"), store, encode(PICTURE), 64, -1, -1)
