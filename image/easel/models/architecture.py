"""Which family of models a checkpoint belongs to, told from its header alone, and how it was trained.

Names and shapes of tensors are facts of the published checkpoints; diffusers' `single_file_utils.py`
(Apache-2.0) lists most of them. Families whose transformer predicts a flow are told in
transformer_architecture.py. What names and shapes cannot tell is whether a UNet predicts the noise (epsilon)
or the velocity (v), and whether its last step is all noise (zero-terminal SNR). That is looked for, in this
order:

1. the files beside it (see sidecar.py): `easel.architecture`, `prediction_type`, `parameterization`, …;
2. the tensors that are markers: `v_pred` and `ztsnr`;
3. the file's own metadata, in every spelling that training.py knows;
4. for SD 2.x the file's name: 768 in it means v, as in the published 768-v-ema and v2-1_768-ema-pruned, and
   512 epsilon;
5. else the family's usual way. For SD 2.x, which is published in both, `CheckpointIdentity.sure` is then
   False, and the loader asks the UNet itself (engine/checkpoints/prediction.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from easel.models import evidence
from easel.models.errors import UnknownArchitecture, WrongKind
from easel.models.family_names import Architecture
from easel.models.header import Header
from easel.models.kind import is_control, small_kind
from easel.models.sidecar import Sidecar
from easel.models.training import (
    DRAWN,
    EPSILON,
    VELOCITY,
    Fact,
    TrainingVerdict,
    facts_of_markers,
    facts_of_metadata,
    weigh,
)
from easel.models.transformer_architecture import DRAWN as DRAWN_WITH
from easel.models.transformer_architecture import transformer_architecture
from easel.remark import remark

_UNET = "model.diffusion_model."
_FIRST = _UNET + "input_blocks.0.0.weight"
# Where the original layout keeps each text encoder's token table.
_CLIP = ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
         "cond_stage_model.transformer.embeddings.token_embedding.weight")  # fmt: skip
_OPEN_CLIP = "cond_stage_model.model.token_embedding.weight"
_XL_CLIP = ("conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
            "conditioner.embedders.0.transformer.embeddings.token_embedding.weight")  # fmt: skip
_XL_OPEN_CLIP = "conditioner.embedders.1.model.token_embedding.weight"
_REFINER_OPEN_CLIP = "conditioner.embedders.0.model.token_embedding.weight"


@dataclass(frozen=True, slots=True)
class CheckpointIdentity:
    """The family, and how the model was trained.

    `prediction` ("epsilon" or "v_prediction") and `zero_snr` are "" and None where nothing says it, so that
    the family's own count. `told_by` says what told the prediction, or else the family ("shapes", "the tensor
    v_pred"); `sure` is False where the UNet has to be asked. `notes` are sentences on what was said as well
    and does not count.
    """

    architecture: Architecture
    told_by: str = evidence.SHAPES
    sure: bool = True
    prediction: str = ""
    zero_snr: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """For a list: "sd1, v_prediction, zero-terminal SNR (told by the tensor v_pred)"."""
        said = [self.architecture.value, self.prediction, "zero-terminal SNR" if self.zero_snr else ""]
        what = ", ".join(one for one in said if one)
        return remark("told_by", "{what} (told by {by})", what=what, by=self.told_by)


def identify(
    header: Header, *, name: str = "this file", sidecar: Sidecar | None = None
) -> CheckpointIdentity:
    """The family of the checkpoint with this header, and how the answer is known.

    `name` is the file's name, for messages and for what only a name tells. Raises WrongKind for a LoRA, VAE
    and so on, and UnknownArchitecture for models that the studio does not draw with.
    """
    said = sidecar or Sidecar()
    named = named_beside(said, name)
    if named is None and not _has(header, _FIRST) and not is_control(header):
        transformer = transformer_architecture(header, name, said)
        if transformer is not None:
            return CheckpointIdentity(transformer.architecture, transformer.told_by)
    found = named or _by_shapes(header, name)
    facts = facts_beside(said)
    facts += facts_of_markers(header.tensors)
    facts += facts_of_metadata(header.metadata)
    if found is Architecture.SD2 and (guess := _from_name(name)):
        facts.append(Fact(evidence.NAME, prediction=guess))
    return trained(found, weigh(facts), name, evidence.BESIDE if named else evidence.SHAPES)


def trained(found: Architecture, verdict: TrainingVerdict, name: str, told_by: str) -> CheckpointIdentity:
    """A family with what its file says of its training. Raises UnknownArchitecture for other predictions."""
    if found.flow:
        return CheckpointIdentity(found, told_by)
    prediction = verdict.prediction
    if prediction and prediction not in DRAWN:
        raise UnknownArchitecture(
            name,
            f"{verdict.prediction_by} says that it predicts {_OTHER_WORDS.get(prediction, prediction)}; the "
            "studio draws with models that predict the noise (epsilon) or the velocity (v)",
        )
    zero = verdict.zero_snr
    plain = _PLAIN_OF.get(found, found)
    if plain in _V_OF:
        # Two families, because both were published; the one of SDXL has zero-terminal SNR as well, which
        # only counts where the file says so, or names that family.
        velocity = prediction == VELOCITY or (not prediction and found is not plain)
        if velocity and found is plain and plain is Architecture.SDXL and zero is None:
            zero = False
        found = _V_OF[plain] if velocity else plain
    return CheckpointIdentity(
        found,
        verdict.prediction_by or told_by,
        # SDXL without a mark is epsilon: v-prediction models of that family are all marked.
        bool(prediction) or found is not Architecture.SD2,
        prediction,
        zero,
        verdict.notes,
    )


def facts_beside(said: Sidecar) -> list[Fact]:
    """What the files beside a checkpoint say, in so many words or by the name of the family."""
    named = _SAYS.get(said.architecture)
    return [*said.facts, *([Fact(evidence.architecture_beside(said.architecture), named)] if named else [])]


def named_beside(said: Sidecar, name: str) -> Architecture | None:
    """The family that a file beside it names. Raises UnknownArchitecture for one that is none."""
    if not said.architecture:
        return None
    if said.architecture not in set(Architecture):
        known = ", ".join(Architecture)
        raise UnknownArchitecture(
            name, f"the file beside it names the architecture {said.architecture[:80]!r}; allowed: {known}"
        )
    return Architecture(said.architecture)


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
    first = header.tensors.get(_FIRST)
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
    others = () if is_control(header) else _OTHERS
    for words, signs in others:
        if any(sign in keys or _UNET + sign in keys for sign in signs):
            yet = f"which the studio does not draw with yet; it draws with {DRAWN_WITH}"
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
    ("a FLUX.3 model", ("early_stream_modulations.image.lin.weight",)),
    ("half of a model for nunchaku (take the single file that it is published as too)",
     ("transformer_blocks.0.qkv_proj.qweight",)),
    ("a HunyuanVideo model", ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",)),
    ("a relative of FLUX.1", ("double_blocks.0.img_attn.qkv.weight",)),
    ("an AuraFlow model", ("double_layers.0.attn.w2q.weight",)),
    ("a PixArt model", ("adaln_single.linear.weight", "y_embedder.y_embedding")),
    ("a Sana model", ("blocks.0.cross_attn.q_linear.weight", "attention_y_norm.weight")),
    ("a Lumina model", ("cap_embedder.0.weight",)),
    ("a Qwen-Image 2.1 model", ("txt_in.text_norm.weight",)),
    ("a Krea 2 model", ("txtfusion.projector.weight",)),
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
_PLAIN_OF = {velocity: plain for plain, velocity in _V_OF.items()}
# What is said by naming the one or the other.
_SAYS: Mapping[str, str] = {
    Architecture.SD2: EPSILON,
    Architecture.SD2_V: VELOCITY,
    Architecture.SDXL_V: VELOCITY,
}
_OTHER_WORDS = {"sample": "the picture (x0)", "flow": "a flow", "edm": "what EDM sampling wants"}


def _from_name(name: str) -> str:
    if re.search(r"(?<!\d)768(?!\d)", name):
        return VELOCITY
    return EPSILON if re.search(r"(?<!\d)512(?!\d)", name) else ""


def _has(header: Header, *keys: str) -> bool:
    return any(key in header.tensors for key in keys)
