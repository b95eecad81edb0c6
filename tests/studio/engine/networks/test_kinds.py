"""Every kind of network on every sort of layer of every family, held against LyCORIS and PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call

from easel.models import Architecture, Kind
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.lora_tag import LoraLimits
from easel.studio.engine.networks.network_file import load_network, part_of
from scripts.starter import layout
from tests.crossing import crossed
from tests.studio.engine.networks import judges
from tests.studio.engine.networks.test_lora import checkpoint
from tests.studio.engine.tiny import PUBLISHED, Tiny, model_file, tiny

# relative, of sums in float32
EXACT = 1e-4
FAMILIES = [Architecture.SD1, Architecture.SD2, Architecture.SDXL]
OFTEN = ("lora", "lokr")


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    """A tiny one of each family."""
    found = {one: tiny(one, tmp_path_factory.mktemp(one.value)) for one in FAMILIES if one in PUBLISHED}
    # Else every run has other norms, and once in six such as make rounding twenty times what it is.
    torch.manual_seed(2)
    for one in found.values():
        for module in one.modules.backbone.modules():
            # as trained ones have them; ones and zeros would hide a mistake
            if isinstance(module, nn.LayerNorm | nn.GroupNorm) and module.weight is not None:
                nn.init.normal_(module.weight, 1.0, 0.2)
                nn.init.normal_(module.bias, 0.0, 0.2)
    return found


def inputs(layer: Any) -> Tensor:
    """Something for the layer to look at."""
    noise = torch.Generator().manual_seed(3)
    if isinstance(layer, nn.Conv2d):
        return torch.randn(2, layer.in_channels, 9, 7, generator=noise)
    if isinstance(layer, nn.GroupNorm):
        return torch.randn(2, layer.num_channels, 5, 3, generator=noise)
    width = layer.in_features if isinstance(layer, nn.Linear) else layer.normalized_shape[0]
    return torch.randn(2, 6, width, generator=noise)


@torch.no_grad()
def answer(layer: nn.Module, seen: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's answer with these weights instead of its own."""
    given = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return functional_call(layer, given, (seen,))


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def loaded(whole: Checkpoint, path: Path, tensors: judges.Tensors) -> tuple[Adapters, LoraUse]:
    """The file, in memory."""
    save_file(tensors, path)
    adapters = Adapters(whole)
    use = LoraUse("x", model_file(path, Kind.LORA), 1.0, 1.0)
    assert adapters.need([use], ()) == []
    return adapters, use


@pytest.mark.parametrize(
    ("architecture", "kind"),
    crossed(FAMILIES, judges.KINDS, lambda family, kind: family is FAMILIES[0] or kind in OFTEN),
)
def test_as_lycoris_merges_it(
    families: dict[Architecture, Tiny], architecture: Architecture, kind: str, tmp_path: Path
) -> None:
    """A layer with the network at work answers as one with LyCORIS's merged weights, at 0.5 half as far.

    And without it as before, since no weight was touched.
    """
    small = families[architecture]
    whole = checkpoint(small)
    torch.manual_seed(1)
    found = []
    for part, path, layer in judges.layers(small.modules, norms=kind == "full"):
        try:
            found.append(judges.judged(kind, part, path, layer))
        except ValueError:
            assert kind == "boft"  # not every width can be parted in powers of two
    assert len(found) >= 8
    adapters, use = loaded(
        whole,
        tmp_path / "x.safetensors",
        judges.file_tensors(found, judges.kohya_names(architecture, small.modules)),
    )
    half = LoraUse("x", use.file, 0.5, 0.5)
    for one in found:
        layer = part_of(whole, one.part).get_submodule(one.path)
        seen = inputs(layer)
        with torch.no_grad():
            plain = layer(seen)
            with adapters.at_work([use]):
                changed = layer(seen)
            with adapters.at_work([half]):
                halfway = layer(seen)
            again = layer(seen)
        wanted = answer(layer, seen, one.weight, one.bias)
        assert distance(wanted, plain) > 0.002, (kind, one.path)
        assert distance(changed, wanted) < EXACT, (kind, one.path)
        assert distance(halfway, (plain + wanted) / 2) < EXACT, (kind, one.path)
        assert torch.equal(again, plain)


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("names", "kind"),
    crossed(
        ["onetrainer", "diffusers", "peft", "original"],
        judges.KINDS,
        lambda names, kind: names == "peft" or kind in OFTEN,
    ),
)
def test_layouts(families: dict[Architecture, Tiny], kind: str, names: str, tmp_path: Path) -> None:
    """Under the names of OneTrainer, diffusers, PEFT and the original code a file is the same as kohya's."""
    small = families[Architecture.SDXL]
    whole = checkpoint(small)
    torch.manual_seed(2)
    found = [
        judges.judged(kind, *one)
        for one in judges.layers(small.modules, norms=True)
        if kind != "boft" or one[2].weight.shape[0] in (64, 128)
    ]
    kohya = judges.kohya_names(Architecture.SDXL, small.modules)
    other = {
        "onetrainer": judges.onetrainer_names(small.modules),
        "diffusers": judges.diffusers_names(small.modules),
        "peft": {key: f"base_model.model.{one}" for key, one in
                 judges.diffusers_names(small.modules).items()},
        "original": original_names(small.modules, kohya),
    }[names]  # fmt: skip
    files = []
    for number, spelled in enumerate((kohya, other)):
        path = tmp_path / f"{number}.safetensors"
        save_file(judges.file_tensors(found, spelled), path)
        files.append(load_network(model_file(path, Kind.LORA), whole))
    first, second = files
    assert first.left_out == second.left_out == ()
    assert first.changes.keys() == second.changes.keys() == {(one.part, one.path) for one in found}
    for place, changes in first.changes.items():
        layer = part_of(whole, place[0]).get_submodule(place[1])
        seen = inputs(layer)
        with torch.no_grad():
            own = layer(seen)
            for one, two in zip(changes, second.changes[place], strict=True):
                assert torch.equal(one.added(layer, seen, own), two.added(layer, seen, own))
                assert one.scale == two.scale


def original_names(parts: Any, kohya: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """`diffusion_model.input_blocks.…`, as ComfyUI exports; encoders as clip_l and clip_g."""
    found = dict(kohya)
    dotted = {"lora_unet_" + name.removesuffix(".weight").replace(".", "_"): name.removesuffix(".weight")
              for name in layout.unet(parts.backbone)}  # fmt: skip
    for key, name in kohya.items():
        if name in dotted:
            found[key] = f"diffusion_model.{dotted[name]}"
        elif name.startswith("lora_te"):
            encoder = "clip_l" if key[0] == "text_encoder_0" else "clip_g"
            found[key] = f"{encoder}.text_model.{key[1].removeprefix('text_model.')}"
    return found


@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr"])
def test_as_peft_merges_it(families: dict[Architecture, Tiny], kind: str, tmp_path: Path) -> None:
    """What PEFT saves of a tiny UNet that it adapted makes the UNet say what PEFT's merged one says."""
    small = families[Architecture.SD1]
    whole = checkpoint(small)
    names = ["to_k", "to_out.0", "conv1", "conv_shortcut"]
    config: Any = {
        "lora": LoraConfig(r=4, lora_alpha=4, target_modules=names),
        "dora": LoraConfig(r=4, lora_alpha=4, target_modules=names, use_dora=True),
        "loha": LoHaConfig(r=4, alpha=4, target_modules=names, use_effective_conv2d=True),
        "lokr": LoKrConfig(
            r=4, alpha=4, target_modules=names, use_effective_conv2d=True, decompose_both=True
        ),
    }[kind]
    again = tiny(Architecture.SD1, tmp_path / "again")
    again.modules.backbone.load_state_dict(small.modules.backbone.state_dict())
    theirs = peft.get_peft_model(again.modules.backbone, config)
    torch.manual_seed(4)
    for name, one in theirs.named_parameters():
        if any(sign in name for sign in ("lora_A", "lora_B", "hada_", "lokr_")):
            nn.init.normal_(one, std=0.3)
        elif "magnitude" in name:
            one.data.mul_(torch.rand_like(one) + 0.5)
    tensors = {name: one.contiguous() for name, one in get_peft_model_state_dict(theirs).items()}
    adapters, use = loaded(whole, tmp_path / "x.safetensors", tensors)
    given = (torch.randn(1, 4, 8, 8), torch.tensor(500), torch.randn(1, 5, 32))
    with torch.no_grad():
        plain = whole.backbone(*given).sample
        with adapters.at_work([use]):
            ours = whole.backbone(*given).sample
        merged = theirs.merge_and_unload()(*given).sample
    assert distance(merged, plain) > 0.01
    assert distance(ours, merged) < EXACT


def test_a_rank_of_its_own(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """`dyn` counts the first ranks only, and alpha is still shared among all, as in A1111."""
    small = families[Architecture.SD1]
    whole = checkpoint(small)
    found = [judges.judged("lora", *one) for one in judges.layers(small.modules, norms=False)]
    names = judges.kohya_names(Architecture.SD1, small.modules)
    adapters, use = loaded(whole, tmp_path / "x.safetensors", judges.file_tensors(found, names))
    cut = LoraUse("x", use.file, 1.0, 1.0, LoraLimits(rank=3))
    for one in found:
        layer = part_of(whole, one.part).get_submodule(one.path)
        seen = inputs(layer)
        up, down = one.tensors["lora_up.weight"], one.tensors["lora_down.weight"]
        delta = 0.5 * (up.flatten(1)[:, :3] @ down.flatten(1)[:3]).reshape(layer.weight.shape)
        wanted = answer(layer, seen, layer.weight + delta, layer.bias)
        with torch.no_grad(), adapters.at_work([cut]):
            assert distance(layer(seen), wanted) < EXACT


def test_two_of_different_kinds(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Each counts from the checkpoint's own weights, so that together they add up, in any order."""
    small = families[Architecture.SD1]
    whole = checkpoint(small)
    names = judges.kohya_names(Architecture.SD1, small.modules)
    uses, files = [], []
    adapters = Adapters(whole)
    for kind in ("dora-rows", "oft"):
        found = [judges.judged(kind, *one) for one in judges.layers(small.modules, norms=False)]
        path = tmp_path / f"{kind}.safetensors"
        save_file(judges.file_tensors(found, names), path)
        uses.append(LoraUse(kind, model_file(path, Kind.LORA), 1.0, 1.0))
        files.append(found)
    adapters.need(uses, ())
    for one, two in zip(*files, strict=True):
        layer = part_of(whole, one.part).get_submodule(one.path)
        seen = inputs(layer)
        wanted = answer(layer, seen, one.weight + two.weight - layer.weight, layer.bias)
        for order in (uses, uses[::-1]):
            with torch.no_grad(), adapters.at_work(order):
                assert distance(layer(seen), wanted) < EXACT


@pytest.mark.parametrize("kind", ["lora", "lora-cp", "full"])
def test_on_an_inpainting_checkpoint(families: dict[Architecture, Tiny], kind: str, tmp_path: Path) -> None:
    """A network trained without mask and masked picture changes what latents do in conv_in."""
    small = tiny(Architecture.SD1_INPAINT, tmp_path / "inpaint")
    whole, plain = checkpoint(small), families[Architecture.SD1].modules.backbone.conv_in
    one = judges.judged(kind, "unet", "conv_in", plain)
    names = judges.kohya_names(Architecture.SD1, families[Architecture.SD1].modules)
    adapters, use = loaded(whole, tmp_path / "x.safetensors", judges.file_tensors([one], names))
    layer = small.modules.backbone.conv_in
    seen = inputs(layer)
    weight = layer.weight.detach().clone()
    weight[:, :4] += one.weight - plain.weight
    assert one.bias is not None
    wanted = answer(layer, seen, weight, layer.bias + one.bias - plain.bias)
    with torch.no_grad(), adapters.at_work([use]):
        assert distance(layer(seen), wanted) < EXACT


def closed_formulas(layer: nn.Linear) -> dict[str, tuple[judges.Tensors, Tensor, Tensor]]:
    """Files that LyCORIS writes no more, or never did: tensors, and the weight and bias by the formula."""
    noise = torch.Generator().manual_seed(6)
    down, up = torch.randn(4, layer.in_features, generator=noise), torch.randn(64, 4, generator=noise)
    bias, turns = torch.randn(64, generator=noise), torch.randn(8, 8, 8, generator=noise)
    pair = {"lora_down.weight": down, "lora_up.weight": up}
    weight, own = layer.weight.detach(), layer.bias.detach()
    turned = torch.block_diag(*turns.transpose(1, 2)) @ weight
    plain = weight + up @ down
    by_rows = plain / plain.norm(dim=1, keepdim=True) * bias.abs()[:, None]
    return {
        "no alpha": (pair, plain, own),
        "alpha": (pair | {"alpha": torch.tensor(1.0)}, weight + 0.25 * up @ down, own),
        "scale before alpha": (
            pair | {"alpha": torch.tensor(1.0), "scale": torch.tensor(0.5)},
            weight + 0.5 * up @ down,
            own,
        ),
        "a bias beside a pair": (pair | {"diff_b": bias}, plain, own + bias),
        "a bias alone": ({"diff_b": bias}, weight, own + bias),
        "R itself": ({"oft_diag": turns}, turned, own),
        "a magnitude in one dimension": (pair | {"dora_scale": bias.abs()}, by_rows, own),
    }


def test_by_closed_formulas(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """`scale`, biases, LyCORIS's old `oft_diag`, and a magnitude that has no dimension to tell its axis."""
    small = families[Architecture.SD1]
    whole = checkpoint(small)
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
    layer = small.modules.backbone.get_submodule(path)
    seen = inputs(layer)
    for number, (said, (tensors, weight, bias)) in enumerate(closed_formulas(layer).items()):
        name = "lora_unet_" + path.replace(".", "_")
        spelled = {f"{name}.{role}": one.contiguous() for role, one in tensors.items()}
        adapters, use = loaded(whole, tmp_path / f"{number}.safetensors", spelled)
        wanted = answer(layer, seen, weight, bias)
        with torch.no_grad(), adapters.at_work([use]):
            assert distance(layer(seen), wanted) < EXACT, said
        adapters.clear()
