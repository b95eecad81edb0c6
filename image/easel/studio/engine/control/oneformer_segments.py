"""OneFormer (Jain et al., arXiv 2211.06220; MIT) with a Swin encoder: what is where in a picture, each kind
in its colour, by transformers' own model. Of a file in its authors' names
(`250_16_swin_l_oneformer_ade20k_160k`) or in transformers' (shi-labs/oneformer_ade20k_swin_large)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from easel.studio.engine.control.annotator_networks import normalized
from easel.studio.engine.control.published_model import block_names, filled, layers

TASK = "the task is semantic"
TASK_TOKENS = (49406, 518, 10549, 533, 29119, 1550, 49407)
"""What CLIP's tokenizer makes of `TASK`; zeros follow."""
_MULTIPLE, _LEVELS, _POINTS = 32, 3, 4
# Rows of a map that are made at once: with 250 masks, 2048 pixels wide, 65 MB.
_ROWS = 32
_ENCODER, _PIXELS = "pixel_level_module.encoder", "pixel_level_module.decoder"
_DECODER, _TASK = "transformer_module.decoder", "task_encoder.task_mlp.layers"
_BLOCK = rf"^({_ENCODER}\.encoder\.layers\.\d+\.blocks\.\d+)\."
_SEEN = r"^sem_seg_head\.pixel_decoder\."
_FOUND = r"^sem_seg_head\.predictor\."
_LAYER = rf"^({_PIXELS}\.encoder\.layers\.\d+)\."
# Names of the authors' own file, and transformers' for the same, one after the other.
_NAMES = (
    (r"^backbone\.patch_embed\.proj\.", f"{_ENCODER}.embeddings.patch_embeddings.projection."),
    (r"^backbone\.patch_embed\.norm\.", f"{_ENCODER}.embeddings.norm."),
    *((rf"^backbone\.norm{one}\.", f"{_ENCODER}.hidden_states_norms.stage{one + 1}.") for one in range(4)),
    (r"^backbone\.layers\.", f"{_ENCODER}.encoder.layers."),
    *block_names(_BLOCK),
    (_BLOCK + r"attn\.relative", r"\1.attention.self.relative"),
    (_SEEN + r"(adapter|layer)_1\.norm\.", _PIXELS + r".\1_1.1."),
    (_SEEN + r"(adapter|layer)_1\.weight$", _PIXELS + r".\1_1.0.weight"),
    (_SEEN + r"input_proj\.", f"{_PIXELS}.input_projections."),
    (_SEEN + r"mask_features\.", f"{_PIXELS}.mask_projection."),
    (_SEEN + r"transformer\.", f"{_PIXELS}."),
    (_LAYER + r"linear(\d)\.", r"\1.fc\2."),
    (_LAYER + r"norm1\.", r"\1.self_attn_layer_norm."),
    (_LAYER + r"norm2\.", r"\1.final_layer_norm."),
    (_FOUND + r"transformer_cross_attention_layers\.(\d+)\.", _DECODER + r".layers.\1.cross_attn."),
    (_FOUND + r"transformer_self_attention_layers\.(\d+)\.", _DECODER + r".layers.\1.self_attn."),
    (_FOUND + r"transformer_ffn_layers\.(\d+)\.", _DECODER + r".layers.\1.ffn."),
    (_FOUND + r"query_embed\.", "transformer_module.queries_embedder."),
    (_FOUND + r"level_embed\.", "transformer_module.level_embed."),
    (_FOUND + r"class_input_proj\.", f"{_DECODER}.query_input_projection."),
    (_FOUND + r"class_transformer\.", f"{_DECODER}.query_transformer."),
    (_FOUND + r"mask_embed\.layers\.(\d)\.", _DECODER + r".mask_embed.layers.\1.0."),
    (_FOUND, f"{_DECODER}."),
    (r"^task_mlp\.layers\.(\d)\.", _TASK + r".\1.0."),
)
_WINDOWS = re.compile(_BLOCK + r"attn\.qkv\.(weight|bias)$")
_LOOKS = re.compile(_FOUND + r"transformer_self_attention_layers\.(\d+)\.self_attn\.in_proj_(weight|bias)$")
# What was of use in its training, and tables that follow from the sizes.
_NOT_NEEDED = re.compile(
    r"^(criterion|text_mapper|text_encoder|text_projector|prompt_ctx)\.|relative_position_index$"
)


class OneformerSegments(nn.Module):
    """Gives (height, width, 3), bytes."""

    def __init__(
        self, tensors: Mapping[str, Tensor], *, colours: NDArray[np.uint8], sides: tuple[int, int]
    ) -> None:
        """`colours` are those of the kinds that it knows, (kinds, 3); `sides` the shorter side of what it is
        shown, and the most of the longer one."""
        from transformers import OneFormerModel

        super().__init__()
        found = dict(_renamed(tensors))
        known = found[f"{_DECODER}.class_embed.weight"].shape[0] - 1
        if known != len(colours):
            raise ValueError(f"it knows {known} kinds of things, not {len(colours)}")
        self.model = filled(OneFormerModel, _config(found), found)
        self._colours, self._sides = torch.from_numpy(colours.copy()), sides
        self._task = torch.zeros(1, found[f"{_TASK}.0.0.weight"].shape[1])
        self._task[0, : len(TASK_TOKENS)] = torch.tensor(TASK_TOKENS).float()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Nothing: it was filled when it was built."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The surest kind of each pixel."""
        size = pixels.shape[2:]
        fit = self._fit(size)
        seen = F.interpolate(pixels * 255, fit, mode="bilinear", antialias=True).round().clamp(0, 255) / 255
        more = [-side % _MULTIPLE for side in fit]
        seen = F.pad(normalized(seen), (0, more[1], 0, more[0]))
        found = self.model(seen, self._task)
        kinds = found.transformer_decoder_class_predictions[0].softmax(-1)[:, :-1]
        masks = found.transformer_decoder_mask_predictions[0]
        down, across = (
            _along(*sides) for sides in zip(masks.shape[1:], seen.shape[2:], fit, size, strict=True)
        )
        wide = masks @ across
        rows = [_surest(kinds, wide, some) for some in torch.split(down, _ROWS, dim=1)]
        return self._colours[torch.cat(rows)]

    def _fit(self, size: torch.Size) -> tuple[int, int]:
        """What it is shown of a picture of this size, as detectron2's predictor rounds it."""
        short, most = self._sides
        scale = min(short / min(size), most / max(size))
        return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def _along(mask: int, padded: int, kept: int, wanted: int) -> Tensor:
    """(mask, wanted): how much of each place of a mask is in each pixel of a map, along one side, when the
    mask is made as large as what the network was shown, cut to what was no border, and made as large as the
    map."""
    wide = F.interpolate(torch.eye(mask)[None], padded, mode="linear")[..., :kept]
    return F.interpolate(wide, wanted, mode="linear")[0]


def _surest(kinds: Tensor, wide: Tensor, rows: Tensor) -> Tensor:
    """(rows, width), numbers of kinds: a kind is as sure as those who say it are of it and of the place."""
    masks = torch.einsum("qhw,hr->qrw", wide, rows).sigmoid()
    return torch.einsum("qk,qrw->krw", kinds, masks).argmax(dim=0)


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        name = name.removeprefix("model.")
        if _NOT_NEEDED.search(name):
            continue
        first = re.sub(r"^backbone\.layers\.", f"{_ENCODER}.encoder.layers.", name)
        windows, looks = _WINDOWS.match(first), _LOOKS.match(name)
        if windows:
            for part, one in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                yield f"{windows[1]}.attention.self.{part}.{windows[2]}", one
        elif looks:
            for part, one in zip("qkv", tensor.chunk(3), strict=True):
                yield f"{_DECODER}.layers.{looks[1]}.self_attn.self_attn.{part}_proj.{looks[2]}", one
        else:
            for old, new in _NAMES:
                name = re.sub(old, new, name)
            yield name, tensor


def _config(tensors: Mapping[str, Tensor]) -> Any:
    """As wide and deep as the file."""
    from transformers import OneFormerConfig, SwinConfig

    shapes = {name: tuple(one.shape) for name, one in tensors.items()}
    stages = f"{_ENCODER}.encoder.layers"
    tables = [shapes[f"{stages}.{one}.blocks.0.attention.self.relative_position_bias_table"]
              for one in range(4)]  # fmt: skip
    first = shapes[f"{_ENCODER}.embeddings.patch_embeddings.projection.weight"]
    backbone = SwinConfig(
        embed_dim=first[0], patch_size=first[-1], window_size=(round(tables[0][0] ** 0.5) + 1) // 2,
        depths=[layers(tensors, f"{stages}.{one}.blocks.") for one in range(4)],
        num_heads=[one[1] for one in tables],
        mlp_ratio=shapes[f"{stages}.0.blocks.0.intermediate.dense.weight"][0] / first[0],
        out_features=[f"stage{one}" for one in range(1, 5)],
    )  # fmt: skip
    near, far = f"{_PIXELS}.encoder.layers", f"{_DECODER}.layers"
    queries, width = shapes["transformer_module.queries_embedder.weight"]
    masks = shapes[f"{_PIXELS}.mask_projection.weight"]
    return OneFormerConfig(
        backbone_config=backbone, num_labels=shapes[f"{_DECODER}.class_embed.weight"][0] - 1,
        num_queries=queries, hidden_dim=width, mask_dim=masks[0], conv_dim=masks[1],
        num_attention_heads=shapes[f"{near}.0.self_attn.sampling_offsets.bias"][0] // (_LEVELS * _POINTS * 2),
        encoder_layers=layers(tensors, f"{near}."), decoder_layers=layers(tensors, f"{far}.") + 1,
        encoder_feedforward_dim=shapes[f"{near}.0.fc1.weight"][0],
        dim_feedforward=shapes[f"{far}.0.ffn.linear1.weight"][0],
        query_dec_layers=layers(tensors, f"{_DECODER}.query_transformer.decoder.layers."),
        task_seq_len=shapes[f"{_TASK}.0.0.weight"][1], use_auxiliary_loss=False,
    )  # fmt: skip
