"""The kinds of model files, and A1111's names of the folders they live in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from easel.models.header import Header
from easel.models.parts import FACTS, is_language_model, is_video_vae, text_encoder_role

SAFETENSORS, GGUF = ".safetensors", ".gguf"
"""How names of model files end."""


class Kind(StrEnum):
    """What a file is for. The value is the folder below `models/`, spelt as A1111 spells it."""

    CHECKPOINT = "Stable-diffusion"
    VAE = "VAE"
    LORA = "Lora"
    EMBEDDING = "embeddings"
    CONTROLNET = "ControlNet"
    IMAGE_ENCODER = "ControlNetPreprocessor"
    UPSCALER = "ESRGAN"
    FACE_RESTORER = "GFPGAN"
    HYPERNETWORK = "hypernetworks"
    TEXT_ENCODER = "text_encoder"

    @property
    def folder(self) -> str:
        """The folder below `models/`."""
        return self.value

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders below `models/` that files of this kind are looked for in, its own first: A1111 has one
        for each architecture of upscalers, ComfyUI others for transformers and text encoders, and whoever
        comes from there brings them along."""
        return (self.value, *_ELSEWHERE.get(self, ()))

    @property
    def endings(self) -> tuple[str, ...]:
        """Of names of files of this kind. GGUF is for what is large: nobody packs a LoRA so."""
        return (SAFETENSORS, GGUF) if self in _LARGE else (SAFETENSORS,)

    @property
    def words(self) -> str:
        """How a sentence calls one file of this kind."""
        return _WORDS[self]


_LARGE = (Kind.CHECKPOINT, Kind.TEXT_ENCODER, Kind.VAE)
_ELSEWHERE: Mapping[Kind, tuple[str, ...]] = {
    Kind.CHECKPOINT: ("diffusion_models", "unet"),
    Kind.TEXT_ENCODER: ("text_encoders", "clip"),
    Kind.UPSCALER: ("RealESRGAN", "SwinIR", "DAT", "HAT", "ScuNET", "BSRGAN"),
}
_WORDS: Mapping[Kind, str] = {
    Kind.CHECKPOINT: "checkpoint",
    Kind.VAE: "VAE",
    Kind.LORA: "LoRA",
    Kind.EMBEDDING: "embedding",
    Kind.CONTROLNET: "ControlNet",
    Kind.IMAGE_ENCODER: "image encoder",
    Kind.UPSCALER: "upscaler",
    Kind.FACE_RESTORER: "face restorer",
    Kind.HYPERNETWORK: "hypernetwork",
    Kind.TEXT_ENCODER: "text encoder",
}

_LORA_ENDS = (
    ".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".lora_B.weight", ".lora.down.weight",
    ".lora_linear_layer.down.weight", ".hada_w1_a", ".hada_w1_b", ".lokr_w1", ".lokr_w2", ".lokr_w1_a",
    ".lokr_w2_a", ".oft_blocks", ".oft_diag", ".dora_scale", "_lora.down.weight", ".diff", ".w_norm",
    ".on_input",
)  # fmt: skip
# Of diffusers' layout (FLUX.1, SD 3, Qwen-Image) and of Z-Image's.
_CONTROLS = ("controlnet_blocks.", "controlnet_x_embedder.", "control_layers.", "control_all_x_embedder.")
_EMBEDDING_KEYS = frozenset({"emb_params", "clip_l", "clip_g", "string_to_param", "<concept>"})

# One tensor of each layout that spandrel knows: ESRGAN, SwinIR, HAT, DAT and their kin begin with the first;
# ESRGAN of old, SRVGG (Real-ESRGAN's compact), SPAN, PLKSR, OmniSR, RCAN, MoSR, Real-CUGAN, SCUNet, SAFMN.
_UPSCALER_KEYS = (
    "conv_first.weight", "model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight", "body.0.weight",
    "conv_1.sk.weight", "block_1.c1_r.eval_conv.weight", "feats.0.weight",
    "residual_layer.0.residual_layer.0.layer.0.fn.0.weight", "body.0.body.0.body.0.weight",
    "gblocks.0.weight", "unet1.conv1.conv.0.weight", "m_head.0.weight", "to_feat.weight",
)  # fmt: skip


def small_kind(header: Header) -> tuple[Kind | None, str] | None:
    """What a file that is no checkpoint is: its kind (None: nothing the studio uses) and a phrase naming it.

    None when it is none of the small kinds, so perhaps a checkpoint. A checkpoint that carries LoRA keys or
    the like beside its UNet is still a checkpoint; the caller looks for the UNet first.
    """
    found = next(((kind, words) for kind, words, is_one in _SMALL if is_one(header)), None)
    if found is not None and found[0] is Kind.TEXT_ENCODER and (role := text_encoder_role(header.tensors)):
        return Kind.TEXT_ENCODER, FACTS[role].words
    return found


def is_vae(header: Header) -> bool:
    """True for a VAE alone, in the original (LDM) or the diffusers layout, with or without a prefix."""
    keys = header.tensors
    if any(key.startswith("model.diffusion_model.") for key in keys):
        return False
    if "decoder.conv1.weight" in keys and is_video_vae(keys):
        return True
    return any(prefix + "decoder.conv_in.weight" in keys for prefix in ("", "first_stage_model.", "vae."))


def is_control(header: Header) -> bool:
    """True for a ControlNet of a family with a transformer, whose names it has beside its own."""
    return any(key.startswith(_CONTROLS) for key in header.tensors)


def is_lite_control(header: Header) -> bool:
    """True for a ControlNet-LLLite, whose parts stand before layers of the UNet."""
    return any(key.startswith("lllite_") for key in header.tensors)


def _is_embedding(header: Header) -> bool:
    keys = header.tensors
    if _EMBEDDING_KEYS & set(keys):
        return len(keys) <= 8
    # One or two unnamed vectors of a text encoder's width.
    widths = {768, 1024, 1280}
    return 0 < len(keys) <= 2 and all(len(one.shape) <= 2 and one.shape[-1:] and one.shape[-1] in widths
                                      for one in keys.values())  # fmt: skip


def _begin(*starts: str) -> Callable[[Header], bool]:
    return lambda header: any(key.startswith(starts) for key in header.tensors)


def _hold(*keys: str) -> Callable[[Header], bool]:
    return lambda header: any(key in header.tensors for key in keys)


def _is_lora(header: Header) -> bool:
    keys = header.tensors
    return any(key.endswith(_LORA_ENDS) or key.startswith(("lora_unet_", "lora_te")) for key in keys)


# In this order: what comes later may hold what tells the earlier ones.
_SMALL: tuple[tuple[Kind | None, str, Callable[[Header], bool]], ...] = (
    # those that read faces hold a LoRA too
    (Kind.CONTROLNET, "an IP-Adapter", _begin("ip_adapter.", "image_proj.")),
    (Kind.LORA, "a LoRA", _is_lora),
    (Kind.CONTROLNET, "a ControlNet", _begin("control_model.")),
    (Kind.CONTROLNET, "a ControlNet of a family with a transformer", is_control),
    (Kind.CONTROLNET, "a ControlNet",
     _hold("controlnet_cond_embedding.conv_in.weight", "input_hint_block.0.weight")),
    (Kind.CONTROLNET, "a ControlNet-LLLite", is_lite_control),
    (Kind.CONTROLNET, "a T2I-Adapter", _begin("adapter.body.", "adapter.conv_in", "body.0.block1")),
    (Kind.FACE_RESTORER, "a face detector (RetinaFace)", _begin("LandmarkHead.", "module.LandmarkHead.")),
    (Kind.FACE_RESTORER, "a face restorer (RestoreFormer)", _hold("quantize.embedding.weight")),
    (Kind.EMBEDDING, "a textual inversion embedding", _is_embedding),
    (None, "an AnimateDiff motion module",
     lambda header: any("motion_modules." in key for key in header.tensors)),
    (Kind.TEXT_ENCODER, "a text encoder alone", lambda header: is_language_model(header.tensors)),
    (Kind.VAE, "a VAE", is_vae),
    (Kind.UPSCALER, "an upscaler (ESRGAN and the like)",
     _hold(*_UPSCALER_KEYS)),
    (Kind.FACE_RESTORER, "a face restorer (GFPGAN)", _begin("stylegan_decoder.")),
    (Kind.IMAGE_ENCODER, "a network that puts pictures into words (BLIP)",
     _hold("text_decoder.cls.predictions.bias")),
    (Kind.IMAGE_ENCODER, "a network that puts pictures into words (DeepDanbooru)", _hold("n_Conv_0.weight")),
    (Kind.IMAGE_ENCODER, "a CLIP image encoder", _begin("vision_model.")),
    (None, "a CLIP image encoder in a layout that is not read here", _begin("visual.")),
    (Kind.TEXT_ENCODER, "a text encoder alone",
     _begin("text_model.", "encoder.block.0.layer.0.SelfAttention", "embeddings.token_embedding",
            "token_embedding.")),
)  # fmt: skip
