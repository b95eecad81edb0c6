"""What is said of a file's other contents, what it takes in memory, and half precision."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from easel.models import Architecture, Kind
from easel.studio.engine.networks.network_file import load_network, part_of
from tests.studio.engine.networks import judges
from tests.studio.engine.networks.test_kinds import distance, inputs
from tests.studio.engine.networks.test_lora import checkpoint
from tests.studio.engine.tiny import Tiny, model_file, tiny


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny SDXL."""
    return tiny(Architecture.SDXL, tmp_path_factory.mktemp("sdxl"))


def file_of(small: Tiny, kind: str) -> judges.Tensors:
    """A file of this kind, in kohya's layout."""
    found = [judges.judged(kind, *one) for one in judges.layers(small.modules, norms=True)]
    return judges.file_tensors(found, judges.kohya_names(Architecture.SDXL, small.modules))


def test_what_is_not_drawn_with(sdxl: Tiny, tmp_path: Path) -> None:
    """Tensors without a place are named; the rest is drawn with. Embeddings in the file are no layers."""
    tensors = file_of(sdxl, "lora") | {
        "bundle_emb.ada.clip_l": torch.ones(2, 32), "bundle_emb.ada.clip_g": torch.ones(2, 48),
        "bundle_emb.ada.clip_l_out": torch.ones(2, 32),
        "lora_te2_text_model_encoder_layers_31_mlp_fc1.alpha": torch.tensor(1.0),
    }  # fmt: skip
    path = tmp_path / "x.safetensors"
    save_file(tensors, path)
    network = load_network(model_file(path, Kind.LORA), checkpoint(sdxl))
    (left_out,) = network.notes()
    assert "1 of its tensors" in left_out
    assert "layers_31_mlp_fc1" in left_out


@pytest.mark.parametrize("kind", [one for one in judges.KINDS if one not in ("full", "boft")])
def test_memory(sdxl: Tiny, kind: str, tmp_path: Path) -> None:
    """A network takes about what its file does: nothing of the size of the layers is kept beside."""
    path = tmp_path / "x.safetensors"
    tensors = file_of(sdxl, kind)
    save_file(tensors, path)
    network = load_network(model_file(path, Kind.LORA), checkpoint(sdxl))
    held = sum(one.nbytes for one in tensors.values())
    # what is of low rank within a Kronecker product is multiplied out once
    assert network.nbytes <= held * (3 if "lokr" in kind else 1.0)


@pytest.mark.parametrize(
    "kind", ["lora-cp", "dora-rows", "dora-columns", "coft", "lokr-both", "loha", "glora"]
)
def test_in_half_precision(sdxl: Tiny, kind: str, tmp_path: Path) -> None:
    """In bfloat16, as a GPU has it, layers answer in it, and as in float32 within its eight bits."""
    path = tmp_path / "x.safetensors"
    save_file(file_of(sdxl, kind), path)
    file = model_file(path, Kind.LORA)
    rough = Tiny(sdxl.family, copy.deepcopy(sdxl.modules))
    for module in (rough.modules.backbone, *rough.modules.text_encoders):
        module.to(torch.bfloat16)
    full, half = checkpoint(sdxl), replace(checkpoint(rough), dtype=torch.bfloat16)
    changes, rough_changes = load_network(file, full).changes, load_network(file, half).changes
    for (part, path_in), found in changes.items():
        layer, other = (part_of(one, part).get_submodule(path_in) for one in (full, half))
        seen = inputs(layer)
        for one, two in zip(found, rough_changes[part, path_in], strict=True):
            with torch.no_grad():
                wanted = one.added(layer, seen, layer(seen))
                seen_half = seen.to(torch.bfloat16)
                told = two.added(other, seen_half, other(seen_half))
            assert told.dtype == torch.bfloat16
            assert distance(told.float(), wanted) < 0.03, path_in


@pytest.mark.parametrize(
    ("said", "scale"),
    [
        ({"unet.lora_alpha": 8}, 2.0),
        ({"unet.lora_alpha": 8, "unet.use_rslora": True}, 4.0),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn2.to_k": 2}}, 0.5),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"n2.to_k": 2}}, 2.0),
        ({"text_encoder.lora_alpha": 8}, 1.0),
        ({"unet.lora_alpha": "8"}, 1.0),
        ([], 1.0),
        ("[" * 100_000, 1.0),
    ],
)
def test_an_alpha_in_the_header(sdxl: Tiny, said: object, scale: float, tmp_path: Path) -> None:
    """diffusers writes PEFT's configuration into the header, and no tensor for alpha."""
    base = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    width = sdxl.modules.backbone.config.cross_attention_dim
    tensors = {f"{base}.lora_A.weight": torch.ones(4, width), f"{base}.lora_B.weight": torch.ones(64, 4)}
    path = tmp_path / "x.safetensors"
    text = said if isinstance(said, str) else json.dumps(said)
    save_file(tensors, path, {"lora_adapter_metadata": text})
    ((change,),) = load_network(model_file(path, Kind.LORA), checkpoint(sdxl)).changes.values()
    assert change.scale == scale
