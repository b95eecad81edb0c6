"""From the names of the original checkpoints to those of the modules, by diffusers' own tables.

Fed one part at a time. Works on tensors without storage as well, so that a file can be checked against its
family before its weights are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from torch import Tensor, nn

Tensors = Mapping[str, Tensor]

UNET = "model.diffusion_model."
_VAES = ("first_stage_model.", "vae.")
_CLIPS = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
# The refiner has one encoder and so numbers it 0; with two, the OpenCLIP one is 1.
_OPEN_CLIPS = ("cond_stage_model.model.", "conditioner.embedders.1.model.", "conditioner.embedders.0.model.")
_CLIP_PARTS = ("embeddings.", "encoder.", "final_layer_norm.")
# diffusers before 0.17 called the parts of the VAE's attention differently.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def unet_names(names: Iterable[str]) -> list[str]:
    """The tensors of a checkpoint that belong to its UNet, without the EMA twin left from training."""
    return [name for name in names if name.startswith(UNET)]


def vae_names(names: Iterable[str]) -> list[str]:
    """The tensors that belong to the VAE: of a checkpoint, or of a VAE file in either layout."""
    every = list(names)
    inside = [name for name in every if name.startswith(_VAES)]
    alone = [
        name for name in every if name.startswith(("encoder.", "decoder.", "quant_conv.", "post_quant_conv."))
    ]
    return inside or alone


def text_names(names: Iterable[str], open_clip: bool) -> list[str]:
    """The tensors of the text encoder from OpenCLIP or of the one from OpenAI."""
    every = list(names)
    for prefix in _OPEN_CLIPS if open_clip else _CLIPS:
        found = [name for name in every if name.startswith(prefix)]
        if found:
            return [
                name for name in found if not name.endswith((".position_ids", ".logit_scale", ".attn_mask"))
            ]
    return []


def to_unet(tensors: Tensors, unet: Any) -> dict[str, Tensor]:
    """UNet tensors under the module's names."""
    return dict(convert_ldm_unet_checkpoint(dict(tensors), dict(unet.config)))


def to_vae(tensors: Tensors, vae: Any) -> dict[str, Tensor]:
    """VAE tensors under the module's names, from the original or the diffusers layout."""
    plain = {_after(name, _VAES): tensor for name, tensor in tensors.items()}
    if any(name.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for name in plain):
        return {_new_attention(name): _linear(name, tensor) for name, tensor in plain.items()}
    return dict(convert_ldm_vae_checkpoint(plain, dict(vae.config)))


def to_clip(tensors: Tensors, encoder: Any) -> dict[str, Tensor]:
    """Tensors of OpenAI's text encoder under the module's names."""
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        prefix = next(one for one in _CLIPS if name.startswith(one))
        rest = name.removeprefix(prefix)
        # Written without "text_model." by transformers 5.6 and later, and by tools before 4.
        whole[prefix + ("text_model." if rest.startswith(_CLIP_PARTS) else "") + rest] = tensor
    return _as_module(convert_ldm_clip_checkpoint(whole), encoder)


def to_open_clip(tensors: Tensors, encoder: Any) -> dict[str, Tensor]:
    """Tensors of OpenCLIP's text encoder (fused q, k, v) under the module's names."""
    prefix = next(
        (one for one in _OPEN_CLIPS if any(name.startswith(one) for name in tensors)), _OPEN_CLIPS[0]
    )
    return _as_module(convert_open_clip_checkpoint(encoder, dict(tensors), prefix=prefix), encoder)


def converter(open_clip: bool) -> Callable[[Tensors, Any], dict[str, Tensor]]:
    """The conversion for a text encoder of this origin."""
    return to_open_clip if open_clip else to_clip


def _as_module(tensors: dict[str, Tensor], encoder: Any) -> dict[str, Tensor]:
    """Transformers 5.6 flattened `CLIPTextModel`; with a projection it is still wrapped."""
    if isinstance(getattr(encoder, "text_model", None), nn.Module):
        return tensors
    return {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}


def _after(name: str, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _new_attention(name: str) -> str:
    head, dot, rest = name.partition(".attentions.0.")
    part, _, end = rest.partition(".")
    return f"{head}{dot}{_OLD_ATTENTION.get(part, part)}.{end}" if dot else name


def _linear(name: str, tensor: Tensor) -> Tensor:
    """The attention's projections are linear layers now; older files hold them as 1x1 convolutions."""
    return tensor[:, :, 0, 0] if ".attentions.0." in name and tensor.dim() == 4 else tensor


class Traced(Tensor):
    """A tensor without numbers that remembers the names in the file of all that it was made of."""

    names: frozenset[str]

    @classmethod
    def of(cls, name: str, shape: tuple[int, ...]) -> Traced:
        """The tensor called `name`."""
        made = torch.empty(shape, device="meta").as_subclass(cls)
        made.names = frozenset((name,))
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked, and hand the names on."""
        result = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        names: frozenset[str] = frozenset()
        for one in args:
            for each in one if isinstance(one, list | tuple) else (one,):
                names |= getattr(each, "names", frozenset()) if isinstance(each, cls) else frozenset()
        for one in result if isinstance(result, list | tuple) else (result,):
            if isinstance(one, cls):
                one.names = names
        return result
