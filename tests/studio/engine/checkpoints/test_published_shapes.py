"""The families at full size, without memory: names, shapes and sizes of the published files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from easel.models import Architecture, identify, read_header
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.tensors.conversion import (
    converter,
    text_names,
    to_unet,
    to_vae,
    unet_names,
    vae_names,
)
from easel.studio.families import family
from tests.models.files import sparse
from tests.studio.engine import export
from tests.studio.engine.export import Layout
from tests.studio.engine.tiny import PUBLISHED, build

# Number of tensors, and bytes of the published single file: v1-5-pruned-emaonly (4 bytes a number),
# sd_xl_base_1.0 (2).
COUNTS = {
    Architecture.SD1: (1131, 4_265_146_304, torch.float32),
    Architecture.SDXL: (2515, 6_938_078_334, torch.float16),
    Architecture.SDXL_REFINER: (None, 6_075_981_930, torch.float16),
}
# Millions of parameters of UNet and text encoders, as their cards and papers say.
SIZES = {
    Architecture.SD1: (859.5, [123.1]),
    Architecture.SD2: (865.9, [340.4]),
    Architecture.SD1_INPAINT: (859.5, [123.1]),
    Architecture.SDXL: (2567.5, [123.1, 694.7]),
    Architecture.SDXL_REFINER: (2259.5, [694.7]),
}


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_full_size(architecture: Architecture, tmp_path: Path) -> None:
    """At full size a checkpoint is told as what it is, and every tensor of the modules is found in it."""
    with torch.device("meta"):
        tensors = export.checkpoint(build(family(architecture)), Layout())
    if architecture is Architecture.SDXL_V:
        tensors["v_pred"] = torch.empty(0)
    name = "v-768.safetensors" if architecture is Architecture.SD2_V else "m.safetensors"
    path = sparse(tmp_path / name, {name: tuple(one.shape) for name, one in tensors.items()})
    header = read_header(path)
    assert identify(header, name=path.name).architecture == architecture
    if architecture in COUNTS:
        count, size, dtype = COUNTS[architecture]
        assert len(tensors) == count or count is None
        numbers = sum(one.numel() for name, one in tensors.items())
        # The rest is the header: names, shapes and places of that many tensors.
        assert 0 < size - numbers * dtype.itemsize < 200 * len(tensors)
    bones = skeleton(family(architecture))
    parts = [(bones.backbone, unet_names, to_unet), (bones.vae, vae_names, to_vae)]
    for one, module in zip(family(architecture).text_encoders, bones.text_encoders, strict=True):
        parts.append(
            (module, lambda names, one=one: text_names(names, one.open_clip), converter(one.open_clip))
        )
    for module, choose, convert in parts:
        names = choose(header.tensors)
        found = convert(
            {name: torch.empty(header.tensors[name].shape, device="meta") for name in names}, module
        )
        wanted = {name: one.shape for name, one in module.state_dict().items()}
        assert {name: found[name].shape for name in wanted} == wanted


@pytest.mark.parametrize("architecture", SIZES)
def test_sizes(architecture: Architecture) -> None:
    """The modules have as many parameters as the published ones."""
    bones = skeleton(family(architecture))

    def millions(module: torch.nn.Module) -> float:
        return round(sum(one.numel() for one in module.parameters()) / 1e6, 1)

    assert (millions(bones.backbone), [millions(one) for one in bones.text_encoders]) == SIZES[architecture]
    assert millions(bones.vae) == 83.7
