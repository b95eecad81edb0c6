"""LoRAs on transformers: as if their product were in the weights, each to its own rows, and no other's."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from easel.models import Architecture, Incomplete
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.networks.butterfly import Butterfly
from easel.studio.engine.networks.extra_networks import Asked, LoraUse
from easel.studio.engine.networks.network_file import load_network
from easel.studio.engine.networks.rotated import cayley
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job
from easel.studio.engine.texts.picture_prompts import PicturePrompts
from easel.studio.engine.transformers.table import transformer_of
from tests.studio.engine.networks import flow_loras, judges
from tests.studio.engine.networks.flow_loras import inputs, merged, use, velocity, written
from tests.studio.engine.test_flows_draw import ASKED, Drawing
from tests.studio.engine.tiny_flow import FLOWS_BY_DAY
from tests.studio.engine.transformers.published_files import published

EXACT = 1e-5
A = Architecture
QKV = "lora_unet_double_blocks_0_img_attn_qkv"


@pytest.fixture(scope="module")
def tiny_ones(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny checkpoint of each family, made when it is asked for."""
    made: dict[Architecture, Checkpoint] = {}

    def one(architecture: Architecture) -> Checkpoint:
        if architecture not in made:
            made[architecture] = flow_loras.checkpoint(architecture, tmp_path_factory.mktemp("flow"))
        return made[architecture]

    return one


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number where that is above 1."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1.0))


@pytest.mark.thinned(5)
@pytest.mark.parametrize("spelling", flow_loras.SPELLINGS)
@pytest.mark.parametrize("architecture", FLOWS_BY_DAY)
def test_as_the_product_in_the_weights(
    tiny_ones: Any, architecture: Architecture, spelling: str, tmp_path: Path
) -> None:
    """In every trainer's spelling, over every layer, at its weight; without it the picture is as before."""
    whole = tiny_ones(architecture)
    lora = written(whole, spelling)
    asked = use(tmp_path / "x.safetensors", lora.tensors, "0.7")
    given, adapters = inputs(whole, 2), Adapters(whole)
    plain = velocity(whole, given)
    wanted = velocity(merged(whole, lora.added, 0.7), given)
    assert apart(wanted, plain) > 0.01
    assert adapters.need([asked], ()) == []
    with adapters.at_work([asked]):
        assert apart(velocity(whole, given), wanted) < EXACT
    assert torch.equal(velocity(whole, given), plain)
    adapters.clear()
    assert not any(one._forward_hooks for one in whole.backbone.modules())


@pytest.mark.parametrize("architecture", FLOWS_BY_DAY)
def test_rows_are_as_alone(tiny_ones: Any, architecture: Architecture, tmp_path: Path) -> None:
    """Three pictures in a call, one with a LoRA, one without, one with two: each as by itself."""
    whole = tiny_ones(architecture)
    one, two = (
        use(tmp_path / f"{seed}.safetensors", written(whole, "peft", seed).tensors, "0.5") for seed in (1, 2)
    )
    adapters, given = Adapters(whole), inputs(whole, 4)
    adapters.need([one, two], ())
    shares: list[tuple[int, list[Any]]] = [(1, [one]), (2, []), (1, [two, one])]
    with adapters.by_row(shares):
        together = velocity(whole, given)
    answers = []
    for _, asked in shares:
        with adapters.at_work(asked):
            answers.append(velocity(whole, given))
    adapters.clear()
    alone = torch.cat([answers[0][:1], answers[1][1:3], answers[2][3:]])
    assert apart(together, alone) < EXACT
    assert apart(together[:1], answers[1][:1]) > 0.01


@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "full"])
def test_kinds_on_a_published_layer(tiny_ones: Any, kind: str, tmp_path: Path) -> None:
    """q, k and v that are one layer in the file each get their rows, whatever the kind."""
    whole = tiny_ones(A.FLUX_DEV)
    attention = whole.backbone.transformer_blocks[0].attn
    heads = (attention.to_q, attention.to_k, attention.to_v)
    weight = torch.cat([one.weight for one in heads])
    tall, wide = weight.shape
    torch.manual_seed(4)
    a, c = torch.randn(tall, 2), torch.randn(tall, 2)
    b, d = torch.randn(2, wide), torch.randn(2, wide)
    length = torch.rand(tall, 1) + 0.5
    tensors, product = {
        "lora": ({"lora_up.weight": a, "lora_down.weight": b}, a @ b),
        "dora": ({"lora_up.weight": a, "lora_down.weight": b, "dora_scale": length},
                 length * (weight + a @ b) / (weight + a @ b).norm(dim=1, keepdim=True) - weight),
        "loha": ({"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}, (a @ b) * (c @ d)),
        "full": ({"diff": a @ b}, a @ b),
    }[kind]  # fmt: skip
    names = (f"transformer_blocks.0.attn.to_{one}" for one in "qkv")
    added = dict(zip(names, product.chunk(3), strict=True))
    asked = use(tmp_path / "x.safetensors", {f"{QKV}.{role}": one for role, one in tensors.items()})
    given, adapters = inputs(whole, 2), Adapters(whole)
    adapters.need([asked], ())
    with adapters.at_work([asked]):
        found = velocity(whole, given)
    adapters.clear()
    assert apart(found, velocity(merged(whole, added, 1.0), given)) < EXACT
    assert apart(found, velocity(whole, given)) > 1e-3


LAYERS = ("double_blocks.0.img_attn.qkv", "single_blocks.0.linear1", "final_layer.adaLN_modulation.1")


@pytest.mark.parametrize("kind", sorted(set(judges.KINDS) - {"dora-columns", "loha-dora", "boft"}))
def test_published_layers_as_lycoris_merges_them(tiny_ones: Any, kind: str, tmp_path: Path) -> None:
    """What LyCORIS makes of a layer that is several modules here, or one whose halves are swapped: each gets
    the rows that the file's own weight gives it, whether LoKr's or OFT's blocks end where the modules do or
    not. A magnitude by columns is refused (`test_what_does_not_fit`); LyCORIS's BOFT is of as many stages as
    turn all rows together."""
    whole = tiny_ones(A.FLUX_DEV)
    file = published("flux-dev", whole.backbone)
    tensors = {}
    torch.manual_seed(6)
    for layer in LAYERS:
        weight, bias = file[f"{layer}.weight"], file[f"{layer}.bias"]
        trained = nn.Linear(weight.shape[1], weight.shape[0])
        trained.load_state_dict({"weight": weight, "bias": bias})
        found = judges.judged(kind, "unet", layer, trained)
        file[f"{layer}.weight"] = found.weight
        if found.bias is not None:
            file[f"{layer}.bias"] = found.bias
        base = f"lora_unet_{layer.replace('.', '_')}"
        tensors |= {f"{base}.{role}": one for role, one in found.tensors.items()}
    changed = copy.deepcopy(whole.backbone)
    changed.load_state_dict(transformer_of(A.FLUX_DEV).convert(file, whole.backbone))
    asked = use(tmp_path / "x.safetensors", tensors)
    given, adapters = inputs(whole, 2), Adapters(whole)
    assert adapters.need([asked], ()) == []
    with adapters.at_work([asked]):
        found = velocity(whole, given)
    adapters.clear()
    assert apart(found, velocity(replace(whole, backbone=changed), given)) < EXACT
    assert apart(found, velocity(whole, given)) > 1e-3


def test_stages_that_end_where_a_module_does(tiny_ones: Any, tmp_path: Path) -> None:
    """BOFT of few stages on q, k and v in one: each is turned as its rows of the whole are."""
    whole = tiny_ones(A.FLUX_DEV)
    attention = whole.backbone.transformer_blocks[0].attn
    weight = torch.cat([one.weight for one in (attention.to_q, attention.to_k, attention.to_v)])
    fused = nn.Linear(weight.shape[1], weight.shape[0], bias=False).requires_grad_(False)
    fused.weight.copy_(weight)
    blocks = torch.randn(2, 12, 8, 8, generator=torch.Generator().manual_seed(5)) * 0.3
    every = torch.eye(weight.shape[1])
    turned = Butterfly(cayley(blocks, 0)).added(fused, every, fused(every)).T
    names = (f"transformer_blocks.0.attn.to_{one}" for one in "qkv")
    asked = use(tmp_path / "x.safetensors", {f"{QKV}.oft_blocks": blocks})
    given, adapters = inputs(whole, 2), Adapters(whole)
    adapters.need([asked], ())
    with adapters.at_work([asked]):
        found = velocity(whole, given)
    adapters.clear()
    wanted = merged(whole, dict(zip(names, turned.chunk(3), strict=True)), 1.0)
    assert apart(found, velocity(wanted, given)) < EXACT
    assert apart(found, velocity(whole, given)) > 1e-3


def test_a_norm_and_a_bias(tiny_ones: Any, tmp_path: Path) -> None:
    """Differences of an RMS norm's weight and of a bias."""
    for architecture in (A.FLUX_DEV, A.SD35_LARGE):
        whole = tiny_ones(architecture)
        block = "transformer_blocks.0.attn"
        norm, bias = torch.randn(16), torch.randn(32)
        tensors = {f"transformer.{block}.norm_q.w_norm": norm, f"transformer.{block}.to_q.diff_b": bias}
        given, adapters = inputs(whole, 2), Adapters(whole)
        asked = use(tmp_path / f"{architecture}.safetensors", tensors)
        adapters.need([asked], ())
        with adapters.at_work([asked]):
            found = velocity(whole, given)
        adapters.clear()
        changed = merged(whole, {f"{block}.norm_q": norm}, 1.0)
        with torch.no_grad():
            changed.backbone.get_submodule(f"{block}.to_q").bias += bias
        assert apart(found, velocity(changed, given)) < EXACT


def test_shared_matrices_count_once(tiny_ones: Any, tmp_path: Path) -> None:
    """q, k and v share the matrix down, and each has its rows of the other: together what the file has."""
    whole = tiny_ones(A.FLUX_DEV)
    tensors = {f"{QKV}.lora_down.weight": torch.ones(4, 32), f"{QKV}.lora_up.weight": torch.ones(96, 4)}
    asked = use(tmp_path / "x.safetensors", tensors)
    assert load_network(asked.file, whole).nbytes == sum(one.nbytes for one in tensors.values())


@pytest.mark.parametrize(
    ("architecture", "layer", "part"),
    [
        (A.FLUX_DEV, "lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoder_0"),
        (A.FLUX_DEV, "lora_te2_encoder_block_0_layer_0_SelfAttention_q", "text_encoder_1"),
        (A.FLUX_DEV, "lora_te3_encoder_block_0_layer_0_SelfAttention_q", "text_encoder_1"),
        (A.FLUX_DEV, "text_encoder.text_model.encoder.layers.0.mlp.fc1", "text_encoder_0"),
        (A.FLUX_DEV, "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q",
         "text_encoder_1"),
        (A.SD3, "lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoder_0"),
        (A.SD3, "lora_te2_text_model_encoder_layers_0_mlp_fc1", "text_encoder_1"),
        (A.SD3, "text_encoder_2.text_model.encoder.layers.0.mlp.fc1", "text_encoder_1"),
        (A.SD3, "lora_te3_encoder_block_0_layer_1_DenseReluDense_wi_0", "text_encoder_2"),
        (A.SD3, "clip_g.transformer.text_model.encoder.layers.0.mlp.fc1", "text_encoder_1"),
        (A.CHROMA, "lora_te3_encoder_block_0_layer_0_SelfAttention_q", "text_encoder_0"),
        (A.CHROMA, "text_encoder.encoder.block.0.layer.0.SelfAttention.q", "text_encoder_0"),
    ],
)  # fmt: skip
def test_text_encoders(
    tiny_ones: Any, architecture: Architecture, layer: str, part: str, tmp_path: Path
) -> None:
    """Each trainer's number or name of a text encoder is the one that it trained."""
    whole = tiny_ones(architecture)
    end = layer.replace("_", ".").split("layer")[-1].split(".")[-2:]
    module = next(
        one for name, one in whole.text_encoders[int(part[-1])].named_modules()
        if isinstance(one, nn.Linear) and "0" in name and name.replace("_", ".").split(".")[-2:] == end
    )  # fmt: skip
    tensors = {f"{layer}.lora_down.weight": torch.ones(2, module.in_features),
               f"{layer}.lora_up.weight": torch.ones(module.out_features, 2)}  # fmt: skip
    network = load_network(use(tmp_path / "x.safetensors", tensors).file, whole)
    ((found, _),) = network.changes
    assert found == part
    assert network.left_out == ()


def test_text_encoders_that_nobody_trains(tiny_ones: Any, tmp_path: Path) -> None:
    """A language model's layers are left out and told; the transformer's are drawn with. So for a text
    encoder that is not there."""
    whole = tiny_ones(A.Z_IMAGE)
    text = {f"lora_te_model_layers_{n}_self_attn_q_proj.lora_{role}.weight": torch.ones(2, 2)
            for n in range(400) for role in ("down", "up")}  # fmt: skip
    asked = use(tmp_path / "x.safetensors", text | written(whole, "kohya").tensors)
    (told,) = Adapters(whole).need([asked], ())
    assert "800 of its tensors have no place" in told
    plain = tiny_ones(A.SD3)
    without_t5 = replace(plain, text_encoders=(*plain.text_encoders[:2], None))
    text = {f"lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_{one}.weight": torch.ones(2, 2)
            for one in ("down", "up")}  # fmt: skip
    asked = use(tmp_path / "y.safetensors", text | written(plain, "kohya").tensors)
    (told,) = Adapters(without_t5).need([asked], ())
    assert "2 of its tensors have no place" in told


def test_weights_of_blocks(tiny_ones: Any, tmp_path: Path) -> None:
    """They are a UNet's: here they change nothing, and that is told."""
    whole = tiny_ones(A.FLUX_DEV)
    lora = written(whole, "kohya")
    asked = use(tmp_path / "x.safetensors", lora.tensors, "1:lbw=OUTALL")
    adapters, given = Adapters(whole), inputs(whole, 2)
    (told,) = adapters.need([asked], ())
    assert "(lbw)" in told
    with adapters.at_work([asked]):
        found = velocity(whole, given)
    adapters.clear()
    assert apart(found, velocity(merged(whole, lora.added, 1.0), given)) < EXACT


UNETS = {
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight": torch.ones(2, 2048),
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_up.weight": torch.ones(640, 2),
}


@pytest.mark.parametrize(
    ("made_for", "tried_on", "spelling", "words"),
    [
        (A.FLUX_DEV, A.SD3, "kohya", "made for FLUX, and sd3 is SD 3"),
        (A.FLUX_DEV, A.QWEN_IMAGE, "peft", "made for FLUX, and qwen-image is Qwen-Image"),
        (A.FLUX_DEV, A.Z_IMAGE, "comfyui", "made for FLUX, and z-image is Z-Image"),
        (A.FLUX_DEV, A.FLUX2_KLEIN_4B, "kohya", "FLUX of another size, and flux2-klein-4b"),
        (A.FLUX2_KLEIN_4B, A.FLUX_DEV, "peft", "made for FLUX.2, and flux-dev is FLUX.1"),
        (A.SD3, A.FLUX_DEV, "kohya", "made for SD 3, and flux-dev is FLUX.1"),
        (A.SD3, A.CHROMA, "peft", "made for a transformer model"),
        (A.QWEN_IMAGE, A.FLUX_DEV, "peft", "made for Qwen-Image, and flux-dev is FLUX.1"),
        (A.Z_IMAGE, A.FLUX_DEV, "kohya", "made for Z-Image, and flux-dev is FLUX.1"),
        (A.CHROMA, A.FLUX_DEV, "kohya", "made for Chroma, and flux-dev is FLUX.1"),
    ],
)  # fmt: skip
def test_of_another_family(
    tiny_ones: Any,
    made_for: Architecture,
    tried_on: Architecture,
    spelling: str,
    words: str,
    tmp_path: Path,
) -> None:
    """Refused, with both families by name."""
    asked = use(tmp_path / "x.safetensors", written(tiny_ones(made_for), spelling).tensors)
    with pytest.raises(OtherArchitecture) as told:
        load_network(asked.file, tiny_ones(tried_on))
    assert words in str(told.value)


@pytest.mark.parametrize("text", [False, True])
def test_of_a_unet(tiny_ones: Any, text: bool, tmp_path: Path) -> None:
    """SDXL's, though it has a text encoder in common."""
    whole = tiny_ones(A.FLUX_DEV)
    fits = {f"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_{role}.weight": one
            for role, one in (("down", torch.ones(2, 16)), ("up", torch.ones(32, 2)))}  # fmt: skip
    asked = use(tmp_path / "x.safetensors", UNETS | (fits if text else {}))
    with pytest.raises(OtherArchitecture, match=r"made for SDXL, and flux-dev is FLUX\.1"):
        load_network(asked.file, whole)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"lokr_w1": torch.ones(4, 4), "lokr_w2": torch.ones(32, 8)}, "of another size"),
        ({"oft_blocks": torch.zeros(8, 12, 12)}, "turn its rows with those of layers"),
        ({"oft_blocks": torch.zeros(2, 4, 24, 24)}, "turn its rows with those of layers"),
        ({"dora_scale": torch.ones(1, 32), "lora_up.weight": torch.ones(96, 2),
          "lora_down.weight": torch.ones(2, 32)}, "its dora_scale cannot be divided"),
        ({"lora_up.weight": torch.ones(100, 2), "lora_down.weight": torch.ones(2, 32)}, "of another size"),
        ({"lora_up.weight": torch.ones(96, 2), "lora_down.weight": torch.ones(2, 40)}, "of another size"),
        ({"lora_up.weight": torch.ones(96, 3), "lora_down.weight": torch.ones(2, 32)}, "do not fit"),
    ],
)  # fmt: skip
def test_what_does_not_fit(
    tiny_ones: Any, tensors: dict[str, torch.Tensor], words: str, tmp_path: Path
) -> None:
    """Told from the header, in words."""
    asked = use(tmp_path / "x.safetensors", {f"{QKV}.{role}": one for role, one in tensors.items()})
    with pytest.raises((OtherArchitecture, Incomplete)) as told:
        load_network(asked.file, tiny_ones(A.FLUX_DEV))
    assert words in str(told.value)


def with_loras(drawing: Drawing, *loras: LoraUse) -> Picture:
    """A picture that asks for these."""
    request = ASKED.resolved()
    asked = Asked(request.prompt, request.negative_prompt, loras)
    prompts = PicturePrompts(request.prompt, request.negative_prompt, asked, asked)
    return Picture(Job(owner="ada", request=request, checkpoint=drawing.file, prompts=(prompts,)), 0)


def drawn(drawing: Drawing, *asked: tuple[LoraUse, ...]) -> list[np.ndarray[Any, Any]]:
    """Pictures with these LoRAs, in one another's company."""
    pictures = [with_loras(drawing, *loras) for loras in asked]
    for one in pictures:
        drawing.loop.begin(one)
    while any(one.image is None for one in pictures):
        drawing.loop.turn()
    for one in pictures:
        drawing.loop.drop(one)
    return [np.asarray(one.image).astype(int) for one in pictures]


@pytest.mark.parametrize("architecture", [A.SD3, A.FLUX_DEV, A.CHROMA])
def test_through_the_loop(tiny_ones: Any, architecture: Architecture, tmp_path: Path) -> None:
    """People with different LoRAs draw together what each draws alone; steps and text encoders count."""
    drawing = Drawing(architecture, tmp_path / "model")
    lora = written(tiny_ones(architecture), "kohya").tensors
    number = 3 if architecture is A.CHROMA else 1
    layer = {1: "text_model_encoder_layers_1_mlp_fc1", 3: "encoder_block_1_layer_0_SelfAttention_v"}[number]
    tall, wide = (32, 16) if number == 1 else (16, 48)
    text = {f"lora_te{number}_{layer}.lora_down.weight": torch.randn(2, wide),
            f"lora_te{number}_{layer}.lora_up.weight": torch.randn(tall, 2)}  # fmt: skip
    uses = (
        (),
        (use(tmp_path / "net.safetensors", lora),),
        (use(tmp_path / "late.safetensors", lora, "1:start=3"),),
        (use(tmp_path / "text.safetensors", text, "2"),),
    )
    alone = [drawn(drawing, one)[0] for one in uses]
    for number, one in enumerate(alone):
        assert all(np.abs(one - other).max() > 1 for other in alone[:number]), number
    for one, other in zip(alone, drawn(drawing, *uses), strict=True):
        assert np.abs(one - other).max() <= 1
