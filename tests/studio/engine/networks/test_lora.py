"""LoRAs of the other families, by kohya's names with the original code's blocks; and what stays in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from easel.models import Architecture, Kind, ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.names import find_targets
from easel.studio.engine.networks.network_file import load_network
from easel.studio.engine.networks.unet_layers import unet_homes
from easel.studio.engine.text_models.tokenizer import shared_tokenizer
from easel.studio.engine.texts.conditioning import PromptEncoder
from easel.studio.engine.texts.embeddings import load_embedding
from easel.studio.engine.texts.text_encoding import HowToEncode
from scripts.starter import layout
from tests.studio.engine.tiny import Tiny, model_file, tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny SDXL with random weights."""
    return tiny(Architecture.SDXL, tmp_path_factory.mktemp("sdxl"))


def checkpoint(small: Tiny) -> Checkpoint:
    """Its modules as a checkpoint."""
    file = ModelFile(Path("tiny.safetensors"), "tiny.safetensors", Kind.CHECKPOINT, 1, 1.0)
    tokenizers = tuple(shared_tokenizer(one.pad_token) for one in small.family.text_encoders)
    parts = small.modules
    return Checkpoint(
        file, small.family, parts.backbone, parts.vae, parts.text_encoders, tokenizers, CPU, torch.float32, 1
    )


def hooks(whole: Checkpoint) -> list[list[int]]:
    """The hooks in each module of its encoders."""
    return [list(one._forward_hooks) for module in whole.text_encoders for one in module.modules()]


def original_names(unet: nn.Module) -> dict[str, torch.Tensor]:
    """kohya's name of every layer of an SDXL UNet, which has the original code's blocks, with its weight."""
    return {
        "lora_unet_" + name.removesuffix(".weight").replace(".", "_"): one
        for name, one in layout.unet(unet).items()
        if name.endswith(".weight") and one.dim() in (2, 4)
    }


def test_every_layer_of_sdxl_is_found(sdxl: Tiny) -> None:
    """Each linear layer and convolution of the UNet under the name that kohya's scripts give it.

    The names come from the published checkpoints' layout, not from the tables under test.
    """
    wanted = original_names(sdxl.modules.backbone)
    names = [f"{one}.lora_{role}.weight" for one in wanted for role in ("down", "up")]
    found, homeless = find_targets(names, unet_homes(sdxl.modules.backbone, sdxl.modules.text_encoders))
    assert homeless == []
    layers = [n for n, m in sdxl.modules.backbone.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert sorted(place.module for place in found) == sorted(layers)
    for place in found:
        weight = sdxl.modules.backbone.get_submodule(place.module).weight
        mine = wanted[place.tensors["down"].removesuffix(".lora_down.weight")]
        assert torch.equal(weight, mine.reshape(weight.shape)), place


def test_both_encoders_of_sdxl(sdxl: Tiny, tmp_path: Path) -> None:
    """`lora_te1_` and `lora_te2_` change the encoder they name, and only while they are at work."""
    whole = checkpoint(sdxl)
    encode = PromptEncoder(whole)
    before = encode.encode("a cat").tokens
    # transformers hangs hooks of its own into an encoder when it is first called.
    untouched = hooks(whole)
    for number, width in enumerate(one.config.hidden_size for one in whole.text_encoders):
        base = f"lora_te{number + 1}_text_model_encoder_layers_0_mlp_fc1"
        path = tmp_path / f"te{number}.safetensors"
        save_file({f"{base}.lora_down.weight": torch.ones(2, width),
                   f"{base}.lora_up.weight": torch.randn(64, 2)}, path)  # fmt: skip
        adapters = Adapters(whole)
        use = LoraUse("te", model_file(path, Kind.LORA), 1.0, 1.0)
        assert adapters.need([use], ()) == []
        assert hooks(whole) != untouched
        with adapters.at_work([use]):
            after = encode.encode("a cat", HowToEncode(key=number)).tokens
        split = whole.text_encoders[0].config.hidden_size
        changed = [not torch.equal(one, two) for one, two in
                   zip(after.split([split, after.shape[-1] - split], -1),
                       before.split([split, before.shape[-1] - split], -1), strict=True)]  # fmt: skip
        assert changed == [number == 0, number == 1]
        assert torch.equal(encode.encode("a cat", HowToEncode(key="none")).tokens, before)
        adapters.clear()
        assert hooks(whole) == untouched


def test_a_refiner_that_no_lora_fits(sdxl: Tiny, tmp_path: Path) -> None:
    """Where a refiner goes on, a LoRA of the base changes nothing in it and is told, as in A1111; a picture
    that begins with the refiner is refused."""
    path = tmp_path / "base.safetensors"
    name, weight = next(
        one for one in original_names(sdxl.modules.backbone).items() if "attn2_to_k" in one[0]
    )
    save_file({f"{name}.lora_down.weight": torch.ones(2, weight.shape[1]),
               f"{name}.lora_up.weight": torch.ones(weight.shape[0], 2)}, path)  # fmt: skip
    use = LoraUse("base", model_file(path, Kind.LORA), 1.0, 1.0)
    whole = checkpoint(tiny(Architecture.SDXL_REFINER, tmp_path))
    adapters = Adapters(whole)
    with pytest.raises(OtherArchitecture):
        adapters.need([use], ())
    (told,) = adapters.need([use], (), going_on=True)
    assert "base.safetensors: this LoRA was made for" in told
    assert "tiny.safetensors drew was drawn without a LoRA" in told
    with adapters.at_work([use]):
        assert adapters.nbytes == 0
    own = Adapters(checkpoint(sdxl))
    assert own.need([use], (), going_on=True) == []
    own.clear()


def test_embeddings_of_sdxl(sdxl: Tiny, tmp_path: Path) -> None:
    """An embedding with a part for each encoder stands in both; one for a single encoder is refused."""
    whole = checkpoint(sdxl)
    first, second = (one.config.hidden_size for one in whole.text_encoders)
    path = tmp_path / "thing.safetensors"
    save_file({"clip_g": torch.ones(3, second), "clip_l": torch.ones(3, first)}, path)
    found = load_embedding(model_file(path, Kind.EMBEDDING), whole)
    assert [one.shape for one in found.vectors] == [(3, first), (3, second)]
    encode = PromptEncoder(whole)
    plain, named = (
        encode.encode("a thing"),
        encode.encode("a thing", HowToEncode(embeddings={"thing": found})),
    )
    halves = (named.tokens - plain.tokens).split([first, second], -1)
    assert all(float(half.abs().max()) > 0 for half in halves)
    save_file({"emb_params": torch.ones(3, first)}, path)
    with pytest.raises(OtherArchitecture):
        load_embedding(model_file(path, Kind.EMBEDDING), whole)


def test_memory_has_a_bound(sdxl: Tiny, tmp_path: Path) -> None:
    """Past the budget the LoRAs used longest ago leave, with their hooks; those in use stay in any case."""
    whole = checkpoint(sdxl)
    files = []
    for number, (name, one) in enumerate(list(original_names(whole.backbone).items())[:6]):
        rows, columns = one.shape[0], one[0].numel()
        path = tmp_path / f"l{number}.safetensors"
        shape = (4, *one.shape[1:]) if one.dim() == 4 else (4, columns)
        up = (rows, 4, 1, 1) if one.dim() == 4 else (rows, 4)
        save_file(
            {f"{name}.lora_down.weight": torch.ones(shape), f"{name}.lora_up.weight": torch.ones(up)}, path
        )
        files.append(model_file(path, Kind.LORA))
    uses = [LoraUse(file.stem, file, 1.0, 1.0) for file in files]
    budget = 2 * max(load_network(file, whole).nbytes for file in files)
    adapters = Adapters(whole, budget)
    for use in uses:
        adapters.need([use], ())
        assert adapters.nbytes <= budget
    adapters.need(uses, ())
    assert adapters.nbytes > budget
    adapters.need(uses[:1], {use.file for use in uses})
    with adapters.at_work(uses):
        pass
    adapters.need(uses[:1], ())
    assert adapters.nbytes <= budget
    hooked = sum(bool(one._forward_hooks) for one in whole.backbone.modules())
    assert hooked <= len(files) - 1
    adapters.clear()
    assert adapters.nbytes == 0
    assert not any(one._forward_hooks for one in whole.backbone.modules())
