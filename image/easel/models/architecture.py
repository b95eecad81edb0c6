"""Which family of models a checkpoint belongs to, told from its header alone.

Names and shapes of tensors are facts of the published checkpoints; diffusers' `single_file_utils.py`
(Apache-2.0) lists most of them. What they cannot tell is whether an SD 2.x model predicts the noise (epsilon,
the 512 models) or the velocity (v, the 768 models). That is looked for, in this order:

1. the sidecar beside the file (see sidecar.py): an `easel.architecture` or `easel.prediction_type`, or a
   training configuration with `parameterization`;
2. the file's own metadata: `easel.family`, `modelspec.prediction_type` / `modelspec.predict_key`,
   `ss_v_parameterization`, or the marker tensors `v_pred` and `ztsnr`;
3. the file's name: 768 in it means v, as in the published 768-v-ema and v2-1_768-ema-pruned, and 512 epsilon;
4. else `Identity.sure` is False: the loader asks the UNet itself (engine/prediction.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NoReturn

from easel.models.errors import UnknownArchitecture, WrongKind
from easel.models.header import Header
from easel.models.kind import small_kind
from easel.models.sidecar import Sidecar

_UNET = "model.diffusion_model."
# Where the original layout keeps each text encoder's token table.
_CLIP = ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
         "cond_stage_model.transformer.embeddings.token_embedding.weight")  # fmt: skip
_OPEN_CLIP = "cond_stage_model.model.token_embedding.weight"
_XL_CLIP = ("conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
            "conditioner.embedders.0.transformer.embeddings.token_embedding.weight")  # fmt: skip
_XL_OPEN_CLIP = "conditioner.embedders.1.model.token_embedding.weight"
_REFINER_OPEN_CLIP = "conditioner.embedders.0.model.token_embedding.weight"


class Architecture(StrEnum):
    """The families that the studio draws with.

    The value is the name of the family's folder in the package.
    """

    STARTER = "starter"
    SD1 = "sd1"
    SD1_INPAINT = "sd1-inpaint"
    SD2 = "sd2"
    SD2_V = "sd2-v"
    SD2_INPAINT = "sd2-inpaint"
    SDXL = "sdxl"
    SDXL_V = "sdxl-v"
    SDXL_INPAINT = "sdxl-inpaint"
    SDXL_REFINER = "sdxl-refiner"


@dataclass(frozen=True, slots=True)
class Identity:
    """The family, what told it ("shapes", "metadata", "sidecar", "file name"), whether that is sure."""

    architecture: Architecture
    told_by: str = "shapes"
    sure: bool = True


def detect(header: Header, *, name: str = "this file", sidecar: Sidecar | None = None) -> Architecture:
    """The family of the checkpoint with this header.

    `name` is the file's name, for messages and for the "768" rule. Raises WrongKind for a LoRA, VAE and so
    on, and UnknownArchitecture for models that the studio does not draw with.
    """
    return identify(header, name=name, sidecar=sidecar).architecture


def identify(header: Header, *, name: str = "this file", sidecar: Sidecar | None = None) -> Identity:
    """As `detect`, and how the answer is known."""
    said = sidecar or Sidecar()
    if said.architecture:
        if said.architecture not in set(Architecture):
            known = ", ".join(Architecture)
            raise UnknownArchitecture(
                name, f"the file beside it names the architecture {said.architecture!r}; allowed: {known}"
            )
        return Identity(Architecture(said.architecture), "sidecar")
    found = _by_shapes(header, name)
    return _by_prediction(found, header, name, said)


def _by_shapes(header: Header, name: str) -> Architecture:
    """The family, as far as names and shapes can tell."""
    conv_in, context, width = _unet(header, name)
    if header.metadata.get("easel.family") == Architecture.STARTER:
        return Architecture.STARTER
    _refuse_relatives(header, name, conv_in, context)
    inpaint = conv_in == 9
    if conv_in not in (4, 9):
        raise UnknownArchitecture(
            name, f"its UNet takes {conv_in} channels; known are 4 (drawing) and 9 (inpainting)"
        )
    if _has(header, _XL_OPEN_CLIP) and context == 2048 and width == 320:
        if not _has(header, _UNET + "input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight"):
            what = "a pruned SDXL (SSD-1B, Vega or the like)"
            raise UnknownArchitecture(
                name, f"this is {what}, which the studio does not draw with; take a full SDXL"
            )
        return Architecture.SDXL_INPAINT if inpaint else Architecture.SDXL
    if _has(header, _REFINER_OPEN_CLIP) and context == 1280 and width == 384:
        return Architecture.SDXL_REFINER
    if _has(header, *_CLIP) and context == 768 and width == 320:
        return Architecture.SD1_INPAINT if inpaint else Architecture.SD1
    if _has(header, _OPEN_CLIP) and context == 1024 and width == 320:
        return Architecture.SD2_INPAINT if inpaint else Architecture.SD2
    if _has(header, *_CLIP) and (width or 0) < 320 and not inpaint:
        # Every published family begins 320 or 384 channels wide.
        return Architecture.STARTER
    whose = {768: "an SD 1.x", 1024: "an SD 2.x", 2048: "an SDXL", 1280: "an SDXL refiner"}.get(context, "a")
    if not _has(header, *_CLIP, _OPEN_CLIP, *_XL_CLIP, _XL_OPEN_CLIP, _REFINER_OPEN_CLIP):
        raise UnknownArchitecture(
            name, f"this is {whose} UNet without its text encoder; take the full checkpoint"
        )
    what = f"its UNet is {width} channels wide and attends to {context}"
    raise UnknownArchitecture(name, f"{what}, as none of the known families (SD 1.x, SD 2.x, SDXL)")


def _unet(header: Header, name: str) -> tuple[int, int, int | None]:
    """Input channels, width of what it attends to, and base width of the UNet."""
    first = header.tensors.get(_UNET + "input_blocks.0.0.weight")
    if first is None or len(first.shape) != 4:
        _refuse_others(header, name)
    keys = [key for key in header.tensors if key.startswith(_UNET) and key.endswith(".attn2.to_k.weight")]
    shapes = [header.tensors[key].shape for key in keys]
    attends = next((shape[-1] for shape in shapes if len(shape) == 2), None)
    if attends is None:
        raise UnknownArchitecture(name, "its UNet does not attend to text; the studio draws from text only")
    return first.shape[1], attends, first.shape[0]


def _refuse_relatives(header: Header, name: str, channels: int, context: int) -> None:
    """Models built from the same parts, which need more than a prompt or other sampling."""
    keys = header.tensors
    what = ""
    if any(key.startswith("control_model.") for key in keys):
        what = "a checkpoint with a ControlNet inside; use the plain checkpoint and the ControlNet file apart"
    elif "edm_mean" in keys or "edm_vpred.sigma_max" in keys:
        what = "a model trained with EDM sampling (Playground v2.5, CosXL)"
    elif any("motion_modules." in key or ".temporal_" in key or ".time_stack." in key for key in keys):
        what = "a video model"
    elif channels == 8:
        what = "an InstructPix2Pix or image-variation model"
    elif channels == 7:
        what = "the SD x4 upscaler"
    elif channels == 5:
        what = "a depth-to-image model"
    elif context == 1024 and _UNET + "label_emb.0.0.weight" in keys:
        what = "an SD 2.x unCLIP model"
    if what:
        raise UnknownArchitecture(name, f"this is {what}, which the studio does not draw with")


def _refuse_others(header: Header, name: str) -> NoReturn:
    """Say what a file without an SD UNet is."""
    keys = header.tensors
    if not keys:
        raise UnknownArchitecture(name, "the file holds no tensors")
    for words, signs in _OTHERS:
        if any(sign in keys or _UNET + sign in keys for sign in signs):
            yet = "which the studio does not draw with yet; it draws with SD 1.x, SD 2.x and SDXL"
            raise UnknownArchitecture(name, f"this is {words}, {yet}")
    small = small_kind(header)
    if small is not None:
        kind, words = small
        raise WrongKind(name, words, kind.folder if kind is not None else None)
    if any(key.startswith(("down_blocks.", "unet.down_blocks.")) for key in keys):
        what = "a UNet alone, from the unet/ folder of a diffusers repository"
        raise UnknownArchitecture(name, f"this is {what}; take the single-file checkpoint of the model")
    some = ", ".join(sorted(keys)[:3])
    raise UnknownArchitecture(name, f"a model of an unknown kind; its tensors begin with {some[:200]}")


# Other models by a tensor that only they have (with or without the checkpoint prefix). Order matters where
# one family grew from another.
_OTHERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a Stable Diffusion 3 or 3.5 model", ("joint_blocks.0.context_block.adaLN_modulation.1.bias",)),
    ("a FLUX.2 model", ("single_stream_modulation.lin.weight",)),
    ("a FLUX.3 model", ("early_stream_modulations.image.lin.weight",)),
    ("a Chroma model", ("distilled_guidance_layer.in_proj.bias",)),
    ("a HunyuanVideo model", ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",)),
    ("a FLUX.1 model", ("double_blocks.0.img_attn.qkv.weight",)),
    ("an AuraFlow model", ("double_layers.0.attn.w2q.weight",)),
    ("a PixArt model", ("adaln_single.linear.weight", "y_embedder.y_embedding")),
    ("a Sana model", ("blocks.0.cross_attn.q_linear.weight", "attention_y_norm.weight")),
    ("a Lumina model", ("cap_embedder.0.weight",)),
    ("a Z-Image model", ("layers.0.adaLN_modulation.0.weight",)),
    ("a Qwen-Image model", ("txt_in.text_norm.weight", "transformer_blocks.0.img_mlp.net.0.proj.weight")),
    ("a HiDream model", ("double_stream_blocks.0.block.adaLN_modulation.1.bias",)),
    ("a Wan video model", ("head.modulation",)),
    ("an LTX-Video model", ("patchify_proj.weight",)),
    ("a Mochi video model", ("blocks.0.attn.qkv_x.weight",)),
    ("a Cosmos model", ("net.x_embedder.proj.1.weight",)),
    ("a Hunyuan-DiT model", ("pooler.positional_embedding", "mlp_t5.0.weight")),
    ("a Stable Cascade model", ("clip_txt_mapper.weight", "down_blocks.1.0.channelwise.0.weight")),
    ("a Kolors model", ("encoder_hid_proj.weight",)),
)  # fmt: skip

_V_OF = {Architecture.SD2: Architecture.SD2_V, Architecture.SDXL: Architecture.SDXL_V}


def _by_prediction(found: Architecture, header: Header, name: str, said: Sidecar) -> Identity:
    """Whether the model predicts noise or velocity, where a family exists in both forms."""
    identity = Identity(found)
    if found not in _V_OF:
        return identity
    prediction, told_by = said.prediction, "sidecar"
    if not prediction:
        prediction, told_by = _from_metadata(header), "metadata"
    if not prediction and found is Architecture.SD2:
        prediction, told_by = _from_name(name), "file name"
    if prediction == "v_prediction":
        return Identity(_V_OF[found], told_by)
    if prediction == "epsilon":
        return replace(identity, told_by=told_by)
    # SDXL without a mark is epsilon; v-prediction models of that family are all marked.
    return replace(identity, sure=found is Architecture.SDXL)


def _from_metadata(header: Header) -> str:
    said = header.metadata
    if "v_pred" in header.tensors:
        return "v_prediction"
    words = said.get("modelspec.prediction_type") or said.get("modelspec.predict_key") or ""
    if words.lower() in ("v", "v_prediction", "v-prediction", "velocity"):
        return "v_prediction"
    if words.lower() in ("epsilon", "eps"):
        return "epsilon"
    if said.get("ss_v_parameterization", "").lower() in ("true", "1"):
        return "v_prediction"
    if said.get("modelspec.architecture", "").startswith("stable-diffusion-v2-768-v"):
        return "v_prediction"
    if said.get("modelspec.architecture", "").startswith("stable-diffusion-v2-512"):
        return "epsilon"
    return ""


def _from_name(name: str) -> str:
    if re.search(r"(?<!\d)768(?!\d)", name):
        return "v_prediction"
    return "epsilon" if re.search(r"(?<!\d)512(?!\d)", name) else ""


def _has(header: Header, *keys: str) -> bool:
    return any(key in header.tensors for key in keys)
