"""A control model's file: what it is, for which checkpoints, and the module that it fills.

No hub is asked: the module is built from the checkpoint's own UNet, of which a ControlNet is a copy of one
half, and from the shapes in the file's header.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

from easel.models import (
    Header,
    Incomplete,
    Kind,
    ModelFile,
    Piece,
    UnknownArchitecture,
    WrongKind,
    is_lite_control,
    read_header,
    small_kind,
)
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart, Convert
from easel.studio.engine.control_models.control_lora import MARK, is_control_lora, summed, whole_shapes
from easel.studio.engine.control_models.lite_control import LiteControl
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.loading.checkpoint_loading import load_single

Shapes = Mapping[str, tuple[int, ...]]

_PREFIXES = ("control_model.", "controlnet.")
_EMBEDDING = "controlnet_cond_embedding."
_MOST_HINT_BLOCKS = 20
_BOUND = "of_one_checkpoint"
_SIZES = {f"label_emb.0.{2 * number}.{end}": f"add_embedding.linear_{number + 1}.{end}"
          for number in (0, 1) for end in ("weight", "bias")}  # fmt: skip
# What a ControlNet has from the UNet that it is a half of.
_SHARED = (
    "in_channels", "flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block",
    "downsample_padding", "mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps",
    "cross_attention_dim", "attention_head_dim", "num_attention_heads", "use_linear_projection",
    "class_embed_type", "addition_embed_type", "addition_time_embed_dim", "num_class_embeds",
    "upcast_attention", "resnet_time_scale_shift", "projection_class_embeddings_input_dim",
)  # fmt: skip
_OF_WIDTH = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL", 1280: "the SDXL refiner"}


def made_for(checkpoint: Checkpoint) -> Hashable:
    """What of a checkpoint decides the module of a control model: equal for those that may share it."""
    config = checkpoint.backbone.config
    shared = tuple(str(config.get(name)) for name in _SHARED if name != "in_channels")
    return shared, str(config["down_block_types"]), str(config.get("transformer_layers_per_block"))


def load_control(file: ModelFile, checkpoint: Checkpoint, device: torch.device) -> Any:
    """The file's model (ControlNetModel, ControlNetUnionModel, T2IAdapter, LiteControl) for this checkpoint;
    whether it is for that one alone, `is_bound` tells.

    Raises OtherArchitecture for one made for another family, UnknownArchitecture for what is not drawn with
    here, and what `load_checkpoint` raises of files.
    """
    return load_single(file, lambda: _part(file, checkpoint), device=device, dtype=checkpoint.dtype)


def is_bound(module: Any) -> bool:
    """Whether a model has weights of the checkpoint that it was loaded for: others cannot share it."""
    return bool(getattr(module, _BOUND, False))


def _part(file: ModelFile, checkpoint: Checkpoint) -> CheckpointPart:
    header = read_header(file.path)
    shapes = {_plain(name): one.shape for name, one in header.tensors.items()}
    names = [name for name in header.tensors if _plain(name) != MARK]
    if is_control_lora(shapes):
        whole = _whole(file, shapes)
        words, module = "control-LoRA", _controlnet(file, whole, checkpoint)
        setattr(module, _BOUND, True)
        convert: Convert = partial(_to_sum, unet=checkpoint.backbone)
    elif is_lite_control(header):
        words, module, convert = "ControlNet-LLLite", _lite(file, shapes, checkpoint), _to_lite
    elif _is_controlnet(file, header, shapes):
        words, module, convert = "ControlNet", _controlnet(file, shapes, checkpoint), _to_controlnet
    else:
        words, module, convert = "T2I-Adapter", _adapter(file, shapes, checkpoint), _to_adapter
    return CheckpointPart(words, module, file.name, ((Piece(file.path, header), names),), convert)


def _plain(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _is_controlnet(file: ModelFile, header: Header, shapes: Shapes) -> bool:
    """Whether it is a whole ControlNet; else it is a T2I-Adapter. Raises for what is neither."""
    small = small_kind(header)
    if small is None or small[0] is not Kind.CONTROLNET:
        if any(name in shapes for name in ("conv_in.weight", "adapter.conv_in.weight")) and _blocks(shapes):
            return False
        what, kind = (small[1], small[0]) if small else ("a checkpoint or another model", None)
        raise WrongKind(file.name, what, kind.folder if kind else None, wanted="a ControlNet")
    return _EMBEDDING + "conv_in.weight" in shapes or "input_hint_block.0.weight" in shapes


def _whole(file: ModelFile, shapes: Shapes) -> Shapes:
    """The shapes of the ControlNet that a control-LoRA makes. Raises Incomplete for one that is none."""
    try:
        found = whole_shapes(shapes)
        if "input_hint_block.0.weight" in found:
            return found
        missing = "input_hint_block.0.weight"
    except KeyError as error:
        missing = str(error.args[0])
    raise Incomplete(file.name, f"it is a control-LoRA, and {missing} is missing; download it again")


def _controlnet(file: ModelFile, shapes: Shapes, checkpoint: Checkpoint) -> Any:
    unet = checkpoint.backbone.config
    original = "input_hint_block.0.weight" in shapes
    _belongs(file, shapes, checkpoint, "input_blocks.0.0.weight" if original else "conv_in.weight")
    config = {name: unet[name] for name in _SHARED if name in unet}
    config |= {"in_channels": checkpoint.family.latent_channels} | _hint_widths(shapes, original)
    config["down_block_types"] = tuple(unet["down_block_types"])
    if "transformer_layers_per_block" in unet:
        config["transformer_layers_per_block"] = unet["transformer_layers_per_block"]
    if not original:
        config |= _layers(shapes, len(unet["block_out_channels"]))
    kind: Any = ControlNetModel
    if "task_embedding" in shapes:
        kind = ControlNetUnionModel
        types, width = shapes["task_embedding"]
        blocks = {name.split(".")[1] for name in shapes if name.startswith("transformer_layes.")}
        config |= {
            "num_control_type": types, "num_trans_channel": width, "num_proj_channel": width,
            "num_trans_layer": len(blocks),
        }  # fmt: skip
        config.pop("mid_block_type", None)
    with torch.device("meta"):
        return kind.from_config(config)


def _belongs(file: ModelFile, shapes: Shapes, checkpoint: Checkpoint, first: str) -> None:
    """Raise OtherArchitecture unless it is as wide as the checkpoint's UNet, and reads the same texts."""
    unet = checkpoint.backbone.config
    widths = [shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")]
    mine, own = (widths[0] if widths else None), unet["cross_attention_dim"]
    narrow = shapes.get(first, (unet["block_out_channels"][0],))[0]
    sized = any(name in shapes for name in ("add_embedding.linear_1.weight", "label_emb.0.0.weight"))
    if (mine or own, narrow, sized) == (own, unet["block_out_channels"][0], _takes_sizes(checkpoint)):
        return
    meant_for = _OF_WIDTH.get(mine or 0, f"texts {mine} numbers wide" if mine else "another family")
    raise OtherArchitecture(
        file.name,
        f"this ControlNet was made for {meant_for}, and {checkpoint.file.name} is "
        f"{_OF_WIDTH.get(own, checkpoint.family.name)}; take one made for it, or another checkpoint",
    )


def _takes_sizes(checkpoint: Checkpoint) -> bool:
    """SDXL's way to be told the size of the picture."""
    return bool(checkpoint.backbone.config.get("addition_embed_type") == "text_time")


def _hint_widths(shapes: Shapes, original: bool) -> dict[str, Any]:
    """Channels of the picture, and of what it is made into, by the convolutions that do it."""
    first, inner = _EMBEDDING + "conv_in.weight", f"{_EMBEDDING}blocks.{{}}.weight"
    names = [inner.format(number) for number in range(1, _MOST_HINT_BLOCKS, 2)]
    if original:
        first = "input_hint_block.0.weight"
        names = [f"input_hint_block.{number}.weight" for number in (4, 8, 12)]
    channels = [shapes[first][0], *(shapes[name][0] for name in names if name in shapes)]
    return {"conditioning_channels": shapes[first][1], "conditioning_embedding_out_channels": tuple(channels)}


def _layers(shapes: Shapes, blocks: int) -> dict[str, Any]:
    """Small ControlNets of SDXL have fewer transformers than its UNet, or none."""
    kinds, layers = [], []
    for block in range(blocks):
        start = f"down_blocks.{block}.attentions.0."
        inside = [name for name in shapes if name.startswith(start)]
        kinds.append("CrossAttnDownBlock2D" if inside else "DownBlock2D")
        layers.append(_count(inside, start + "transformer_blocks."))
    start = "mid_block.attentions.0."
    middle = [name for name in shapes if name.startswith(start)]
    if middle:
        layers[-1] = _count(middle, start + "transformer_blocks.")
    return {
        "down_block_types": tuple(kinds),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": layers,
    }


def _count(names: list[str], start: str) -> int:
    return len({name.removeprefix(start).split(".")[0] for name in names if name.startswith(start)})


def _to_controlnet(tensors: Mapping[str, torch.Tensor], module: Any) -> dict[str, torch.Tensor]:
    """Under the module's names, from the original or the diffusers layout."""
    return _renamed({_plain(name): tensor for name, tensor in tensors.items()}, module)


def _renamed(plain: Mapping[str, Any], module: Any) -> dict[str, Any]:
    """A table by the original's names, by the module's; diffusers' own function leaves SDXL's sizes out."""
    found = convert_controlnet_checkpoint(dict(plain), dict(module.config))
    found |= {new: plain[old] for old, new in _SIZES.items() if old in plain}
    return {name: value for name, value in found.items() if value is not None}


def _to_sum(tensors: Mapping[str, torch.Tensor], module: Any, unet: Any) -> dict[str, torch.Tensor]:
    """The ControlNet that a control-LoRA makes of this UNet."""
    plain = {_plain(name): tensor for name, tensor in tensors.items()}
    return summed(plain, unet, module, lambda names: _renamed(names, module))


def _lite(file: ModelFile, shapes: Shapes, checkpoint: Checkpoint) -> LiteControl:
    unet = checkpoint.backbone
    try:
        with torch.device("meta"):
            module = LiteControl(shapes, unet.config["layers_per_block"])
    except (KeyError, ValueError) as error:
        raise UnknownArchitecture(
            file.name, f"this ControlNet-LLLite is of a kind that is not known here ({error})"
        ) from None
    for path, part in zip(module.paths, module.parts, strict=True):
        try:
            width = unet.get_submodule(path).in_features
        except AttributeError:
            width = 0
        if width != part.down[0].in_features:
            raise OtherArchitecture(
                file.name,
                f"this ControlNet-LLLite was made for another family than {checkpoint.file.name} (most are "
                "for SDXL); take one made for it, or another checkpoint",
            )
    return module


def _to_lite(tensors: Mapping[str, torch.Tensor], module: LiteControl) -> dict[str, torch.Tensor]:
    return module.named(tensors)


_RESNET = re.compile(r"^body\.(\d+)\.(block[12]|in_conv)\.")


def _blocks(shapes: Shapes) -> int:
    return len({name.split("body.")[1].split(".")[0] for name in shapes if "body." in name})


def _adapter(file: ModelFile, shapes: Shapes, checkpoint: Checkpoint) -> Any:
    plain = {name.removeprefix("adapter."): shape for name, shape in shapes.items()}
    channels = list(checkpoint.backbone.config["block_out_channels"])
    first = plain.get("conv_in.weight")
    if first is None:
        raise UnknownArchitecture(
            file.name, "this T2I-Adapter is of a kind that is not drawn with here (light or style)"
        )
    xl = _takes_sizes(checkpoint)
    downscale = 16 if xl else 8
    mine = first[0], first[1] // downscale**2
    if first[0] != channels[0] or mine[1] * downscale**2 != first[1] or mine[1] not in (1, 3):
        raise OtherArchitecture(
            file.name,
            f"this T2I-Adapter was made for another family than {checkpoint.file.name}; take one made for it",
        )
    if xl:
        channels = [channels[0], *channels[1:], channels[-1]]
    with torch.device("meta"):
        return T2IAdapter(
            in_channels=mine[1], channels=channels, num_res_blocks=2, downscale_factor=downscale,
            adapter_type="full_adapter_xl" if xl else "full_adapter",
        )  # fmt: skip


def _to_adapter(tensors: Mapping[str, torch.Tensor], module: Any) -> dict[str, torch.Tensor]:
    """Under the module's names; the original files number their residual blocks through, two to a body's."""
    plain = {name.removeprefix("adapter."): tensor for name, tensor in tensors.items()}
    if not any(".resnets." in name for name in plain):
        plain = {_RESNET.sub(_of_body, name): tensor for name, tensor in plain.items()}
    return {f"adapter.{name}": tensor for name, tensor in plain.items()}


def _of_body(found: re.Match[str]) -> str:
    number, part = int(found[1]), found[2]
    inside = part if part == "in_conv" else f"resnets.{number % 2}.{part}"
    return f"body.{number // 2}.{inside}."
