"""Names of tensors and of blocks, in every layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.models import Architecture
from easel.studio.engine.networks.block_weights import BLOCKS, block_of
from easel.studio.engine.networks.bundled_embeddings import bundled_names
from easel.studio.engine.networks.names import UNET, FindHomes, find_targets, has_role
from easel.studio.engine.networks.unet_layers import unet_homes
from scripts.starter import layout
from tests.studio.engine.networks import judges
from tests.studio.engine.tiny import Tiny, tiny

ROLES = ["lora_down.weight", "lora_up.weight", "alpha", "lora_mid.weight", "lora_A.weight", "dora_scale",
         "hada_w1_a", "lokr_t2", "diff", "diff_b", "w_norm", "oft_blocks", "b1.weight"]  # fmt: skip


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny SDXL."""
    return tiny(Architecture.SDXL, tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny SD 1.x."""
    return tiny(Architecture.SD1, tmp_path_factory.mktemp("sd1"))


def homes(small: Tiny) -> FindHomes:
    """Where its layers are."""
    return unet_homes(small.modules.backbone, small.modules.text_encoders)


@given(data=st.data(), role=st.sampled_from(ROLES), shape=st.sampled_from(["kohya", "onetrainer", "peft"]))
def test_every_layer_is_found(sdxl: Tiny, data: st.DataObject, role: str, shape: str) -> None:
    """A layer's name in any layout, with any role, leads to that layer and to no other."""
    names = {
        "kohya": judges.kohya_names(Architecture.SDXL, sdxl.modules),
        "onetrainer": judges.onetrainer_names(sdxl.modules),
        "peft": judges.diffusers_names(sdxl.modules),
    }[shape]
    parts = {UNET: sdxl.modules.backbone} | {
        f"text_encoder_{n}": one for n, one in enumerate(sdxl.modules.text_encoders)
    }
    layers = [(part, path) for part, path in names if _has_weight(parts[part].get_submodule(path))]
    key = data.draw(st.sampled_from(layers))
    found, homeless = find_targets([f"{names[key]}.{role}"], homes(sdxl))
    assert homeless == []
    assert [(one.part, one.module, len(one.tensors)) for one in found] == [(*key, 1)]


def _has_weight(layer: object) -> bool:
    weight = getattr(layer, "weight", None)
    return weight is not None and type(layer).__name__ != "Embedding"


@given(st.lists(st.text(alphabet=st.sampled_from("._lorateunip12bcksdw"), max_size=60), max_size=8))
def test_any_names(sdxl: Tiny, names: list[str]) -> None:
    """No name is an error, and each has one place or none."""
    names = list(dict.fromkeys([*names, *(f"lora_unet_{one}.alpha" for one in names)]))
    found, homeless = find_targets(names, homes(sdxl))
    placed = [name for one in found for name in one.tensors.values()]
    assert len(placed) <= len(names) - len(homeless)
    assert set(homeless) <= set(names)
    assert all(has_role(name) for name in placed)


@pytest.mark.parametrize("small", ["sd1", "sdxl"])
def test_blocks(small: str, request: pytest.FixtureRequest) -> None:
    """The block that a layer's weight counts for is the one it has in the published layout."""
    unet = request.getfixturevalue(small).modules.backbone
    owners = {one.weight.data_ptr(): path for path, one in unet.named_modules() if _has_weight(one)}
    seen = set()
    for name, tensor in layout.unet(unet).items():
        path = owners.get(tensor.data_ptr())
        if path is None:
            continue
        side, _, rest = name.partition("_block")
        if side == "middle":
            wanted = "M00"
        elif side in ("input", "output"):
            wanted = f"{'IN' if side == 'input' else 'OUT'}{int(rest.split('.')[1]):02}"
        else:
            assert block_of(path, unet) is None, path
            continue
        block = block_of(path, unet)
        assert block is not None
        assert BLOCKS[block] == wanted, path
        seen.add(wanted)
    assert len(seen) == (25 if small == "sd1" else 19)


def test_bundled(tmp_path: Path) -> None:
    """The embeddings in a file, by name."""
    names = ["bundle_emb.ada.clip_l", "bundle_emb.ada.clip_g", "bundle_emb.b.string_to_param.*", "x.alpha"]
    assert bundled_names(names) == ("ada", "b")
