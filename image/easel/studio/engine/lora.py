"""A LoRA in memory: for each module that it changes, two small matrices (Hu et al., arXiv 2106.09685).

Applied while the checkpoint draws (adapters.py), not added to its weights: the checkpoint is everyone's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from easel.models import FileError, Header, Incomplete, Kind, ModelFile, WrongKind, read_header, small_kind
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.lora_names import UNET, LoraTarget, beside_pairs, is_pair, lora_targets
from easel.studio.engine.memory import check_room
from easel.studio.engine.weights import Weights

# A full one for SDXL has four thousand; a file made to be slow could have a million.
MAX_TENSORS = 20_000
# How wide the text is that the cross attention of each family looks at.
_FAMILIES = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL", 1280: "the SDXL refiner", 64: "the starter"}
_OTHERS = {
    "double_blocks": "FLUX", "single_transformer_blocks": "FLUX", "joint_blocks": "SD 3",
    "lora_te3_": "SD 3 or FLUX", "transformer.": "a transformer model (FLUX, SD 3 or the like)",
    "diffusion_model.": "another kind of model",
}  # fmt: skip
_KINDS = {
    ".dora_scale": "DoRA", ".lora_magnitude_vector": "DoRA", ".hada_w": "LoHa (LyCORIS)",
    ".lokr_": "LoKr (LyCORIS)", ".oft_": "OFT", ".lora_mid.": "LoCon with a third matrix (LyCORIS, CP)",
    ".diff": "full difference (LyCORIS)",
}  # fmt: skip


@dataclass(frozen=True)
class Delta:
    """The change of one module: `scale · up(down(x))` is added to what it gives."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    def add_to(
        self, module: nn.Module, seen: torch.Tensor, output: torch.Tensor, weight: float
    ) -> torch.Tensor:
        """`output`, changed."""
        if isinstance(module, nn.Conv2d):
            low = F.conv2d(
                seen, self.down, stride=module.stride, padding=module.padding, dilation=module.dilation
            )
            return output + F.conv2d(low, self.up) * (weight * self.scale)
        return torch.add(output, F.linear(F.linear(seen, self.down), self.up), alpha=weight * self.scale)


@dataclass(frozen=True)
class Lora:
    """All changes of one file, by part of the checkpoint ("unet", "text_encoder_0", …) and module."""

    file: ModelFile
    deltas: Mapping[tuple[str, str], Delta]
    left_out: int
    nbytes: int


def load_lora(file: ModelFile, checkpoint: Checkpoint) -> Lora:
    """Read a LoRA for `checkpoint`, to its device and type.

    Raises a FileError that says what is wrong: OtherArchitecture, WrongKind, Incomplete, or what
    `read_header` and `Weights` raise. Nothing of it stays in memory then.
    """
    header = read_header(file.path)
    _check_kind(file, header)
    found, homeless = lora_targets(header.tensors, checkpoint.unet, checkpoint.text_encoders)
    _check_home(file, header, found, homeless, checkpoint)
    for place in found:
        _check_shapes(file, header, place, checkpoint)
    names = [name for place in found for name in place.tensors.values()]
    size = sum(header.tensors[name].numel for name in names) * checkpoint.dtype.itemsize
    largest = max(header.tensors[name].nbytes for name in names)
    check_room(file.name, size, largest, checkpoint.device)
    alphas = [place.tensors["alpha"] for place in found if "alpha" in place.tensors]
    try:
        with Weights(file.path, header) as weights:
            plain = weights.read(alphas, device=torch.device("cpu"), dtype=torch.float32, whole=True)
            pairs = sorted(set(names) - set(alphas))
            tensors = weights.read(pairs, device=checkpoint.device, dtype=checkpoint.dtype)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise FileError(file.name, "there is no memory left for it; take fewer LoRAs at once") from error
    deltas = {(p.part, p.module): _delta(file, p, tensors, plain, checkpoint) for p in found}
    return Lora(file, deltas, len(homeless), size)


def _delta(
    file: ModelFile,
    place: LoraTarget,
    tensors: Mapping[str, torch.Tensor],
    alphas: Mapping[str, torch.Tensor],
    checkpoint: Checkpoint,
) -> Delta:
    down, up = tensors[place.tensors["down"]], tensors[place.tensors["up"]]
    rank = down.shape[0]
    name = place.tensors.get("alpha")
    # Without an alpha the rank counts as one, in every format.
    scale = float(alphas[name].reshape(())) / rank if name else 1.0
    finite = bool(torch.isfinite(down).all()) and bool(torch.isfinite(up).all())
    if not finite or scale != scale or abs(scale) > 1e6:
        raise Incomplete(file.name, f"{place.tensors['down']} holds numbers that are none; download it again")
    if isinstance(_module(checkpoint, place), nn.Conv2d):
        return Delta(_square(down), _square(up), scale)
    return Delta(down.flatten(1), up.flatten(1), scale)


def _square(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dim() == 4 else tensor[:, :, None, None]


def _check_kind(file: ModelFile, header: Header) -> None:
    if len(header.tensors) > MAX_TENSORS:
        raise Incomplete(file.name, f"it holds {len(header.tensors)} tensors; a LoRA has up to {MAX_TENSORS}")
    small = small_kind(header)
    if small is None or small[0] is not Kind.LORA:
        what, kind = (small[1], small[0]) if small else ("a checkpoint or another model", Kind.CHECKPOINT)
        raise WrongKind(file.name, what, kind.folder if kind else None, wanted="a LoRA")
    for sign, words in _KINDS.items():
        if any(sign in name for name in header.tensors):
            raise Incomplete(
                file.name,
                f"this is a LoRA of the kind {words}, not drawn with yet; take a plain LoRA or LoCon",
            )


def _check_home(
    file: ModelFile, header: Header, found: list[LoraTarget], homeless: list[str], checkpoint: Checkpoint
) -> None:
    """Raise OtherArchitecture for a file that has its home elsewhere, Incomplete for half of a pair."""
    strange = [name for name in homeless if is_pair(name)]
    if not found or len(strange) > len(header.tensors) // 2:
        raise _other(file, header, checkpoint)
    if odd := beside_pairs(found, homeless):
        raise Incomplete(
            file.name,
            f"{odd[:120]} stands beside a pair of matrices and is not understood: without it the LoRA is "
            "another one; take a plain LoRA or LoCon",
        )
    for place in found:
        if not {"down", "up"} <= place.tensors.keys():
            missing = "up" if "down" in place.tensors else "down"
            raise Incomplete(
                file.name, f"the {missing} matrix of {place.module} is missing; download it again"
            )


def _check_shapes(file: ModelFile, header: Header, place: LoraTarget, checkpoint: Checkpoint) -> None:
    module = _module(checkpoint, place)
    down, up = (header.tensors[place.tensors[role]].shape for role in ("down", "up"))
    if "alpha" in place.tensors and header.tensors[place.tensors["alpha"]].numel != 1:
        raise Incomplete(file.name, f"{place.tensors['alpha']} is not a single number")
    if isinstance(module, nn.Conv2d):
        wide, tall, kernel = (
            module.in_channels // module.groups,
            module.out_channels,
            tuple(module.kernel_size),
        )
    else:
        assert isinstance(module, nn.Linear)  # noqa: S101 - `lora_targets` looks for no others
        wide, tall, kernel = module.in_features, module.out_features, (1, 1)
    if min(len(down), len(up)) < 2 or max(len(down), len(up)) > 4 or 3 in (len(down), len(up)):
        raise Incomplete(file.name, f"{place.tensors['down']} is not a matrix")
    if down[1] != wide or up[0] != tall:
        raise _other(file, header, checkpoint)
    if down[0] != up[1] or down[0] == 0:
        raise Incomplete(file.name, f"the two matrices of {place.module} do not fit each other")
    if (tuple(down[2:]) or (1, 1)) != kernel or (tuple(up[2:]) or (1, 1)) != (1, 1):
        raise Incomplete(file.name, f"the matrices of {place.module} are of another shape than that layer")


def _other(file: ModelFile, header: Header, checkpoint: Checkpoint) -> OtherArchitecture:
    made_for = _made_for(header)
    width = checkpoint.unet.config.cross_attention_dim
    ours = _FAMILIES.get(width, checkpoint.family.name)
    whose = (
        f"this LoRA was made for {made_for}" if made_for else "this LoRA was made for another kind of model"
    )
    return OtherArchitecture(
        file.name,
        f"{whose}, and {checkpoint.file.name} is {ours}; take a checkpoint or a LoRA that fits the other",
    )


def _made_for(header: Header) -> str:
    for sign, words in _OTHERS.items():
        if any(sign in name for name in header.tensors):
            return words
    for name, info in header.tensors.items():
        ends = ("attn2_to_k.lora_down.weight", "attn2.to_k.lora_A.weight", "attn2.to_k.lora.down.weight",
                "attn2.processor.to_k_lora.down.weight")  # fmt: skip
        if name.endswith(ends) and len(info.shape) >= 2:
            return _FAMILIES.get(info.shape[1], f"a model that attends to {info.shape[1]} numbers")
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in header.tensors):
        return _FAMILIES[2048]
    return header.metadata.get("ss_base_model_version", "")[:60]


def _module(checkpoint: Checkpoint, place: LoraTarget) -> nn.Module:
    module: nn.Module = part_of(checkpoint, place.part).get_submodule(place.module)
    return module


def part_of(checkpoint: Checkpoint, part: str) -> Any:
    """The UNet or one of the text encoders."""
    if part == UNET:
        return checkpoint.unet
    return checkpoint.text_encoders[int(part.rpartition("_")[2])]
