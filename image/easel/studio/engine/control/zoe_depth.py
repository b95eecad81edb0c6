"""ZoeDepth (Bhat et al., arXiv 2302.12288; MIT): how far things are, in metres, by transformers' own model.
Of a file in its authors' names (`ZoeD_M12_N`) or in transformers' (Intel/zoedepth-nyu)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.control.published_model import block_names, filled, layers

_HEAD, _PATCH = 64, 16
# As it was trained: sides of what it sees, and what they are multiples of.
_SEEN, _MULTIPLE = (384, 512), 32
_BINS = {"n_bins": 64, "min_depth": 1e-3, "max_depth": 10.0}
# What is nearer and farther than these shares of a picture is white and black.
_NEAREST, _FARTHEST = 0.02, 0.85
_BLOCK, _MIDAS, _SCRATCH = (
    r"^(backbone\.encoder\.layer\.\d+)\.",
    r"^core\.core\.pretrained\.",
    r"^core\.core\.scratch\.",
)
_ATTENTION = r"\1.attention.attention"
# Names of the authors' own file, and transformers' for the same, one after the other.
_NAMES = (
    (_MIDAS + r"model\.blocks\.", "backbone.encoder.layer."),
    (_MIDAS + r"model\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (_MIDAS + r"model\.cls_token$", "backbone.embeddings.cls_token"),
    *block_names(_BLOCK),
    (_BLOCK + r"gamma_", r"\1.lambda_"),
    (_BLOCK + r"attn\.q_bias$", _ATTENTION + ".query.bias"),
    (_BLOCK + r"attn\.v_bias$", _ATTENTION + ".value.bias"),
    (_BLOCK + r"attn\.relative", _ATTENTION + ".relative_position_bias.relative"),
    *((_MIDAS + rf"act_postprocess{one + 1}\.", f"neck.reassemble_stage.{one}.") for one in range(4)),
    (r"^neck\.reassemble_stage\.(\d)\.0\.project\.", r"neck.reassemble_stage.readout_projects.\1."),
    (r"^neck\.reassemble_stage\.(\d)\.3\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"^neck\.reassemble_stage\.(\d)\.4\.", r"neck.reassemble_stage.layers.\1.resize."),
    *((_SCRATCH + rf"layer{one + 1}_rn\.", f"neck.convs.{one}.") for one in range(4)),
    *((_SCRATCH + rf"refinenet{4 - one}\.", f"neck.fusion_stage.layers.{one}.") for one in range(4)),
    (r"^(neck\..*)\.resConfUnit(\d)\.conv(\d)\.", r"\1.residual_layer\2.convolution\3."),
    (r"^(neck\..*)\.out_conv\.", r"\1.projection."),
    (_SCRATCH + r"output_conv\.0\.", "relative_head.conv1."),
    (_SCRATCH + r"output_conv\.2\.", "relative_head.conv2."),
    (_SCRATCH + r"output_conv\.4\.", "relative_head.conv3."),
    (r"^(conv2|seed_\w+|projectors|attractors|conditional_log_binomial)\.", r"metric_head.\1."),
    (r"^(metric_head\..*)\._net\.0\.", r"\1.conv1."),
    (r"^(metric_head\..*)\._net\.2\.", r"\1.conv2."),
)
_QKV = re.compile(_BLOCK + r"attn\.qkv\.weight$")
# What classified pictures, and tables that follow from the sizes.
_NOT_NEEDED = re.compile(r"model\.(fc_)?norm\.|model\.head\.|relative_position_index$|k_idx$|(K|k)_minus_1$")


class ZoeDepth(nn.Module):
    """Gives (height, width): metres."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        from transformers import ZoeDepthForDepthEstimation

        super().__init__()
        found = dict(_renamed(tensors))
        self.model = filled(ZoeDepthForDepthEstimation, _config(found), found)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Nothing: it was filled when it was built."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The mean of what is seen of a picture and of its mirror image."""
        found = (self._metres(pixels) + self._metres(pixels.flip(3)).flip(3)) / 2
        return found[0, 0]

    def _metres(self, pixels: Tensor) -> Tensor:
        """With a border that shows what is near it, for it was trained on pictures with one."""
        down, across = (int((side / 2) ** 0.5 * 3) for side in pixels.shape[2:])
        wide = F.pad(pixels, (across, across, down, down), mode="reflect")
        scales = [seen / side for seen, side in zip(_SEEN, wide.shape[2:], strict=True)]
        scale = min(scales, key=lambda one: abs(1 - one))
        fit = [max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in wide.shape[2:]]
        seen = F.interpolate(wide, fit, mode="bilinear", align_corners=True) * 2 - 1
        depth = self.model(seen).predicted_depth[:, None]
        depth = F.interpolate(depth, wide.shape[2:], mode="bicubic", align_corners=False)
        return depth[:, :, down : depth.shape[2] - down, across : depth.shape[3] - across]


def nearness(depth: Tensor, a: float, b: float) -> Tensor:
    """Near is white; the nearest and the farthest are cut off."""
    nearest, farthest = np.quantile(depth.numpy(), (_NEAREST, _FARTHEST))
    return (1 - (depth - float(nearest)) / max(float(farthest - nearest), 1e-6)).clamp(0, 1)


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if _NOT_NEEDED.search(name):
            continue
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        qkv = _QKV.match(name)
        if qkv is None:
            yield name, tensor
        else:
            for part, weight in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                yield f"{qkv[1]}.attention.attention.{part}.weight", weight


def _config(tensors: Mapping[str, Tensor]) -> Any:
    """As wide and deep as the file."""
    from transformers import BeitConfig, ZoeDepthConfig

    blocks = layers(tensors, "backbone.encoder.layer.")
    hidden = tensors["backbone.embeddings.cls_token"].shape[-1]
    first = "backbone.encoder.layer.0"
    places = tensors[f"{first}.attention.attention.relative_position_bias.relative_position_bias_table"]
    side = (round((places.shape[0] - 3) ** 0.5) + 1) // 2
    backbone = BeitConfig(
        image_size=side * _PATCH, patch_size=_PATCH, num_hidden_layers=blocks, hidden_size=hidden,
        intermediate_size=tensors[f"{first}.intermediate.dense.weight"].shape[0],
        num_attention_heads=max(1, hidden // _HEAD), use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=[f"stage{blocks * part // 4}" for part in range(1, 5)],
    )  # fmt: skip
    neck = [tensors[f"neck.reassemble_stage.layers.{one}.projection.weight"].shape[0] for one in range(4)]
    head, shapes = "metric_head", {name: tuple(one.shape) for name, one in tensors.items()}
    return ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=neck,
        fusion_hidden_size=shapes["neck.convs.0.weight"][0],
        bottleneck_features=shapes[f"{head}.conv2.weight"][0],
        num_relative_features=shapes["relative_head.conv2.weight"][0],
        bin_embedding_dim=shapes[f"{head}.seed_projector.conv2.weight"][0],
        num_attractors=[shapes[f"{head}.attractors.{one}.conv2.weight"][0] for one in range(4)],
        bin_configurations=[{**_BINS, "n_bins": shapes[f"{head}.seed_bin_regressor.conv2.weight"][0]}],
    )  # fmt: skip
