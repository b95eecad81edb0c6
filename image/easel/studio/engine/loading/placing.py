"""Where a checkpoint's weights go: the plan for its family, its type and what memory is free now."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from easel.studio.engine.checkpoints.skeleton import Skeleton, is_empty, nbytes
from easel.studio.engine.loading.activations import activations
from easel.studio.engine.memory.device_memory import SLACK, WORKSPACE, DeviceMemory, TooLarge
from easel.studio.engine.memory.memory_plan import (
    DrawingBytes,
    MemoryPlan,
    WeightBytes,
    WeightPlacement,
    need,
    plan,
)
from easel.studio.engine.memory.offload import Offload
from easel.studio.engine.quantised.packed_modules import largest_expanding, layer_bytes
from easel.studio.families import Family

_ROWS = 2


def weight_bytes(bones: Skeleton, dtype: torch.dtype, device: torch.device) -> WeightBytes:
    """On this device, of modules that may have no weights yet."""

    def of(modules: Iterable[nn.Module]) -> int:
        return int(sum(nbytes(one, dtype) for one in modules) * SLACK)

    modules = *bones.present_encoders, bones.vae, bones.backbone
    return WeightBytes(
        of(bones.present_encoders),
        of([bones.backbone]),
        of([bones.vae]),
        int(max(layer_bytes(one, dtype) for one in modules) * SLACK),
        max(largest_expanding(one, dtype, device) for one in modules),
    )


def drawing_bytes(family: Family, dtype: torch.dtype, device: torch.device) -> DrawingBytes:
    """Of pictures of the family's own size, with prompt and negative prompt."""
    counted = activations(family, dtype)
    side = family.native
    return DrawingBytes(
        call=counted.of_call((side // family.downscale) ** 2, _ROWS),
        vae=tuple(taken for _, taken in counted.ways("decode", side, side)),
        fixed=WORKSPACE.get(device.type, 0),
    )


def planned(
    name: str, family: Family, weights: WeightBytes, dtype: torch.dtype, memory: DeviceMemory,
    *, scratch: int = 0, there: int = 0, whole: bool = False,
) -> MemoryPlan:  # fmt: skip
    """How the checkpoint goes into what is free now, so that a picture of its own size can be drawn;
    `scratch` bytes more while it is read into main memory. `there` of them are on the device: what is stays.
    Raises TooLarge; `whole`: for all that does not go whole."""
    drawing = drawing_bytes(family, dtype, memory.device)
    free = memory.free() + there - (0 if memory.apart else scratch)
    apart = memory.apart and not whole
    least = WeightPlacement.WHOLE
    if apart:
        least = WeightPlacement.BACKBONE if there else WeightPlacement.NOTHING
    found = plan(weights, drawing, free, apart=apart)
    if found is None or found.placement > least:
        raise TooLarge(name, need(weights, drawing, least), memory.free(), memory.device)
    return found


def homes(placement: WeightPlacement, device: torch.device) -> dict[str, torch.device]:
    """The device that each part of a checkpoint is loaded to, by the part's words."""
    cpu = torch.device("cpu")
    beside = device if placement is WeightPlacement.WHOLE else cpu
    drawing = cpu if placement is WeightPlacement.NOTHING else device
    return {
        "text encoder": beside,
        "VAE": beside,
        "UNet": drawing,
        "transformer": drawing,
    }


def offloaded(bones: Skeleton, placement: WeightPlacement, memory: DeviceMemory) -> Offload | None:
    """Have what does not stay on the device come there when it is used; None where all of it stays."""
    if placement is WeightPlacement.WHOLE:
        return None
    offload = Offload(memory)
    modules: list[nn.Module] = [*bones.present_encoders, bones.vae]
    for module in [*modules, bones.backbone] if placement is WeightPlacement.NOTHING else modules:
        if not is_empty(module):  # there are files without a VAE
            offload.add(module)
    return offload
