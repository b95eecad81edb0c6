"""Names and shapes of the published files of today's families: of each layout the few that tell it.

The names are those that diffusers' `single_file_utils.py` (Apache-2.0) converts from, and of llama.cpp's
`gguf-py` (MIT); the shapes those of the published weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from easel.models import Header, TensorInfo
from easel.models.header import DTYPE_BITS
from tests.models.files import Shapes

U = "model.diffusion_model."


def under(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The same behind a prefix."""
    return {prefix + name: shape for name, shape in shapes.items()}


def header_of(
    shapes: Shapes, metadata: Mapping[str, str] | None = None, *, dtypes: Mapping[str, str] | None = None
) -> Header:
    """A header with these shapes, in BF16 unless another type is said: no file is as large as these."""
    tensors, place = {}, 8
    for name, shape in shapes.items():
        dtype = (dtypes or {}).get(name, "BF16")
        end = place + math.prod(shape) * DTYPE_BITS[dtype] // 8
        tensors[name] = TensorInfo(dtype, shape, place, end)
        place = end
    return Header(tensors, metadata or {}, 8, place)


def sd3_transformer(width: int, *, second: bool = False, norms: bool = False) -> dict[str, tuple[int, ...]]:
    block = "joint_blocks.0."
    return {
        "context_embedder.weight": (width, 4096),
        "pos_embed": (1, 36864, width),
        "x_embedder.proj.weight": (width, 16, 2, 2),
        block + "context_block.adaLN_modulation.1.bias": (6 * width,),
        block + "x_block.attn.qkv.weight": (3 * width, width),
        **({block + "x_block.attn.ln_q.weight": (64,)} if norms else {}),
        **({block + "x_block.attn2.qkv.weight": (3 * width, width)} if second else {}),
    }


def flux_transformer(channels: int = 64, *, guided: bool = True) -> dict[str, tuple[int, ...]]:
    return {
        "img_in.weight": (3072, channels),
        "img_in.bias": (3072,),
        "txt_in.weight": (3072, 4096),
        "txt_in.bias": (3072,),
        "vector_in.in_layer.weight": (3072, 768),
        "vector_in.in_layer.bias": (3072,),
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "double_blocks.0.img_attn.qkv.bias": (9216,),
        "single_blocks.0.linear1.weight": (21504, 3072),
        **({"guidance_in.in_layer.bias": (3072,)} if guided else {}),
    }


CHROMA_TRANSFORMER: Shapes = {
    "img_in.weight": (3072, 64),
    "txt_in.weight": (3072, 4096),
    "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
    "double_blocks.0.img_attn.qkv.bias": (9216,),
    "distilled_guidance_layer.in_proj.bias": (5120,),
    "distilled_guidance_layer.in_proj.weight": (5120, 64),
}
Z_IMAGE_TRANSFORMER: Shapes = {
    "cap_embedder.0.weight": (2560,),
    "cap_embedder.1.weight": (3840, 2560),
    "cap_embedder.1.bias": (3840,),
    "cap_pad_token": (1, 3840),
    "x_embedder.weight": (3840, 64),
    "layers.0.adaLN_modulation.0.weight": (15360, 256),
    "layers.0.adaLN_modulation.0.bias": (15360,),
    "layers.0.attention.qkv.weight": (11520, 3840),
}
QWEN_IMAGE_TRANSFORMER: Shapes = {
    "img_in.weight": (3072, 64),
    "img_in.bias": (3072,),
    "txt_in.weight": (3072, 3584),
    "txt_norm.weight": (3584,),
    "transformer_blocks.0.img_mod.1.weight": (18432, 3072),
    "transformer_blocks.0.img_mod.1.bias": (18432,),
    "transformer_blocks.0.img_mlp.net.0.proj.weight": (12288, 3072),
}


def flux2_transformer(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "img_in.weight": (width, 128),
        "txt_in.weight": (width, 15360),
        "double_blocks.0.img_attn.qkv.weight": (3 * width, width),
        "single_stream_modulation.lin.weight": (3 * width, width),
        "double_stream_modulation_img.lin.weight": (6 * width, width),
    }


def clip(width: int, start: str = "text_model.") -> dict[str, tuple[int, ...]]:
    return {
        start + "embeddings.position_embedding.weight": (77, width),
        start + "embeddings.token_embedding.weight": (49408, width),
        start + "encoder.layers.0.layer_norm1.weight": (width,),
        start + "encoder.layers.0.self_attn.q_proj.weight": (width, width),
    }


def open_clip(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "positional_embedding": (77, width),
        "token_embedding.weight": (49408, width),
        "transformer.resblocks.0.ln_1.weight": (width,),
    }


def t5(width: int = 4096) -> dict[str, tuple[int, ...]]:
    return {
        "shared.weight": (32128, width),
        "encoder.block.0.layer.0.SelfAttention.q.weight": (4096, width),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64),
        "encoder.block.0.layer.0.layer_norm.weight": (width,),
    }


UMT5: Shapes = {**t5(), "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64)}
GGUF_T5: Shapes = {
    "token_embd.weight": (32128, 4096),
    "enc.blk.0.attn_q.weight": (4096, 4096),
    "enc.blk.0.attn_rel_b.weight": (32, 64),
    "enc.blk.0.attn_norm.weight": (4096,),
}


def language_model(
    width: int, start: str = "model.", *, norms: bool = False, bias: bool = False
) -> dict[str, tuple[int, ...]]:
    """As transformers names Qwen3 (with norms), Qwen2.5 (with a bias) and Mistral (with neither)."""
    layer = f"{start}layers.0."
    return {
        f"{start}embed_tokens.weight": (151936, width),
        f"{layer}input_layernorm.weight": (width,),
        f"{layer}self_attn.q_proj.weight": (4096, width),
        f"{layer}mlp.gate_proj.weight": (9728, width),
        **({f"{layer}self_attn.q_norm.weight": (128,)} if norms else {}),
        **({f"{layer}self_attn.q_proj.bias": (4096,)} if bias else {}),
    }


def gguf_language_model(width: int, *, norms: bool = False, bias: bool = False) -> dict[str, tuple[int, ...]]:
    """As llama.cpp names them."""
    return {
        "token_embd.weight": (151936, width),
        "blk.0.attn_norm.weight": (width,),
        "blk.0.attn_q.weight": (4096, width),
        "blk.0.ffn_gate.weight": (9728, width),
        **({"blk.0.attn_q_norm.weight": (128,)} if norms else {}),
        **({"blk.0.attn_q.bias": (4096,)} if bias else {}),
    }


def vae(channels: int) -> dict[str, tuple[int, ...]]:
    return {
        "decoder.conv_in.weight": (512, channels, 3, 3),
        "encoder.conv_in.weight": (128, 3, 3, 3),
    }


FLUX2_VAE: Shapes = {**vae(32), "bn.running_mean": (128,), "bn.running_var": (128,)}
WAN_VAE: Shapes = {
    "conv1.weight": (32, 32, 1, 1, 1),
    "decoder.conv1.weight": (384, 16, 3, 3, 3),
    "decoder.middle.0.residual.0.gamma": (384, 1, 1, 1),
    "encoder.conv1.weight": (96, 3, 3, 3, 3),
}
QWEN_VAE_OF_DIFFUSERS: Shapes = {
    "decoder.conv_in.weight": (384, 16, 3, 3, 3),
    "encoder.conv_in.weight": (96, 3, 3, 3, 3),
    "post_quant_conv.weight": (16, 16, 1, 1, 1),
}
