"""OneFormer: transformers' own model and processor on random weights of the published shape, narrow, from
files in transformers' names and in its authors'."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    OneFormerImageProcessor,
    OneFormerProcessor,
    SwinConfig,
)

from easel.models import FileError, Store
from easel.studio.engine.control.ade_colours import ADE_COLOURS
from easel.studio.engine.control.coco_colours import COCO_COLOURS
from easel.studio.engine.control.oneformer_segments import TASK, TASK_TOKENS, OneformerSegments
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from easel.studio.png import encode

Tensors = dict[str, torch.Tensor]
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS).resize((192, 128), Image.Resampling.BICUBIC)
SHOWN = torch.from_numpy(np.asarray(PICTURE).copy()).permute(2, 0, 1)[None].float() / 255
# By module: the file, colours of its kinds, and how its processor is published.
KINDS: dict[str, tuple[str, Any, dict[str, int]]] = {
    "seg_ofade20k": ("ade20k", ADE_COLOURS, {"shortest_edge": 640, "longest_edge": 2560}),
    "seg_ofcoco": ("coco", COCO_COLOURS, {"shortest_edge": 800, "longest_edge": 1333}),
}
# transformers' names, and the authors' for the same, one after the other.
AUTHORS = (
    (r"^model\.", ""), (r"^pixel_level_module\.encoder\.embeddings\.norm", "backbone.patch_embed.norm"),
    (r"^pixel_level_module\.encoder\.embeddings\.patch_embeddings\.projection", "backbone.patch_embed.proj"),
    *((rf"^pixel_level_module\.encoder\.hidden_states_norms\.stage{one + 1}", f"backbone.norm{one}")
      for one in range(4)),
    (r"^pixel_level_module\.encoder\.encoder\.", "backbone."),
    (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"), (r"attention\.output\.dense", "attn.proj"),
    (r"intermediate\.dense", "mlp.fc1"), (r"output\.dense", "mlp.fc2"), (r"attention\.self\.rel", "attn.rel"),
    (r"^pixel_level_module\.decoder\.(adapter|layer)_1\.0", r"sem_seg_head.pixel_decoder.\1_1"),
    (r"^pixel_level_module\.decoder\.(adapter|layer)_1\.1", r"sem_seg_head.pixel_decoder.\1_1.norm"),
    (r"^pixel_level_module\.decoder\.input_projections", "sem_seg_head.pixel_decoder.input_proj"),
    (r"^pixel_level_module\.decoder\.mask_projection", "sem_seg_head.pixel_decoder.mask_features"),
    (r"^pixel_level_module\.decoder\.", "sem_seg_head.pixel_decoder.transformer."),
    (r"self_attn_layer_norm", "norm1"), (r"final_layer_norm", "norm2"),
    (r"(layers\.\d+)\.fc(\d)", r"\1.linear\2"),
    (r"^transformer_module\.queries_embedder", "sem_seg_head.predictor.query_embed"),
    (r"^transformer_module\.(decoder\.)?", "sem_seg_head.predictor."),
    (r"query_input_projection", "class_input_proj"), (r"query_transformer", "class_transformer"),
    (r"predictor\.layers\.(\d+)\.cross_attn", r"predictor.transformer_cross_attention_layers.\1"),
    (r"predictor\.layers\.(\d+)\.self_attn", r"predictor.transformer_self_attention_layers.\1"),
    (r"predictor\.layers\.(\d+)\.ffn", r"predictor.transformer_ffn_layers.\1"),
    (r"(mask_embed\.layers\.\d)\.0", r"\1"),
    (r"^task_encoder\.task_mlp\.layers\.(\d)\.0", r"task_mlp.layers.\1"),
)  # fmt: skip


def made(kinds: int) -> OneFormerForUniversalSegmentation:
    """Narrow, and as sure of some places as of others."""
    torch.manual_seed(0)
    backbone = SwinConfig(
        embed_dim=32, depths=[2, 1, 2, 1], num_heads=[1, 2, 4, 8], window_size=4, drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = OneFormerConfig(
        backbone_config=backbone, num_labels=kinds, num_queries=30, hidden_dim=32, mask_dim=32, conv_dim=32,
        encoder_layers=1, decoder_layers=3, encoder_feedforward_dim=48, dim_feedforward=64,
    )  # fmt: skip
    model = OneFormerForUniversalSegmentation(config).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * (0.3 if parameter.dim() == 1 else 0.1)
    decoder = model.model.transformer_module.decoder
    model.model.transformer_module.queries_embedder.weight.data.normal_(std=4)
    decoder.class_embed.weight.data *= 18
    decoder.class_embed.bias.data.zero_()
    for layer in decoder.mask_embed.layers:
        layer.layers[0].bias.data.zero_()
    layer.layers[0].weight.data *= 6
    model.model.pixel_level_module.decoder.mask_projection.bias.data.zero_()
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Tensors]]:
    """By module: transformers' model, and its tensors in the names that it is published in."""
    found = {}
    for module, (_, colours, _) in KINDS.items():
        model = made(len(colours))
        folder = tmp_path_factory.mktemp("oneformer")
        model.save_pretrained(folder)
        found[module] = model, load_file(folder / "model.safetensors")
    return found


def authors(tensors: Tensors) -> Tensors:
    """The same as in detectron2's file, with what lies there beside it."""
    found: Tensors = {}
    together: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        for ours, theirs in AUTHORS:
            name = re.sub(ours, theirs, name)
        window = re.search(r"attention\.self\.(query|key|value)\.(\w+)$", name)
        looks = re.search(r"self_attn\.([qkv])_proj\.(\w+)$", name)
        if window:
            together.setdefault(f"{name[: window.start()]}attn.qkv.{window[2]}", {})[window[1][0]] = tensor
        elif looks:
            together.setdefault(f"{name[: looks.start()]}self_attn.in_proj_{looks[2]}", {})[looks[1]] = tensor
        else:
            found[name] = tensor
    found |= {name: torch.cat([parts[one] for one in "qkv"]) for name, parts in together.items()}
    found["backbone.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16).long()
    found["text_encoder.positional_embedding"] = torch.zeros(77, 8)
    found["prompt_ctx.weight"] = torch.zeros(16, 8)
    found["text_projector.layers.0.weight"] = torch.zeros(8, 8)
    return found


def stored(root: Path, name: str, tensors: Tensors) -> Store:
    folder = root / "ControlNetPreprocessor"
    folder.mkdir(parents=True)
    save_file({key: one.contiguous() for key, one in tensors.items()}, folder / f"{name}.safetensors")
    return Store(root)


def processor(root: Path, size: dict[str, int]) -> OneFormerProcessor:
    """As published, with names of kinds that nobody asks for."""
    (root / "kinds.json").write_text(json.dumps({"0": {"isthing": 0, "name": "wall"}}))
    images = OneFormerImageProcessor(size=size, class_info_file="kinds.json", repo_path=str(root), num_text=0)
    return OneFormerProcessor(images, load_tokenizer("!"), max_seq_length=77, task_seq_length=77)


def wanted(way: OneFormerProcessor, model: Any, most: float = 0.9) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of the kinds of each pixel of the picture: with masks that are enlarged before they are added
    up, as the extension's predictor does it, and as transformers' processor, which does it after that."""
    given = way(PICTURE, ["semantic"], return_tensors="pt")
    pixels, task = given["pixel_values"], given["task_inputs"]
    padded = F.pad(pixels, (0, -pixels.shape[3] % 32, 0, -pixels.shape[2] % 32))
    with torch.inference_mode():
        said = model(pixel_values=padded, task_inputs=task)
    kinds = said.class_queries_logits.softmax(-1)[..., :-1]
    masks = F.interpolate(said.masks_queries_logits, padded.shape[2:], mode="bilinear")
    masks = F.interpolate(masks[..., : pixels.shape[2], : pixels.shape[3]], (128, 192), mode="bilinear")
    first = torch.einsum("bqc,bqhw->bchw", kinds, masks.sigmoid())[0].argmax(0)
    assert float((first == first.mode().values.mode().values).float().mean()) < most, "of several kinds"
    return first, way.post_process_semantic_segmentation(said, target_sizes=[(128, 192)])[0]


def alike(found: Any, colours: Any, kinds: torch.Tensor) -> float:
    return float((np.asarray(found) == colours[kinds.numpy()]).all(axis=2).mean())


@pytest.mark.parametrize(("module", "layout"), [("seg_ofade20k", "authors"), ("seg_ofcoco", "transformers")])
def test_it_is_transformers_own(
    tmp_path: Path, models: dict[str, tuple[Any, Tensors]], module: str, layout: str
) -> None:
    """From both layouts, in the data set's colours, but for borders as its processor reads it too. Shown less
    than is published, for time."""
    colours, (model, tensors) = KINDS[module][1], models[module]
    if layout == "authors":
        tensors = authors(tensors)
        assert "sem_seg_head.predictor.transformer_self_attention_layers.0.self_attn.in_proj_bias" in tensors
        assert "backbone.layers.2.blocks.1.attn.qkv.weight" in tensors
    first, theirs = wanted(processor(tmp_path, {"shortest_edge": 128, "longest_edge": 512}), model)
    network = OneformerSegments(tensors, colours=colours, sides=(128, 512))
    with torch.inference_mode():
        found = network(SHOWN)
    assert found.shape == (128, 192, 3)
    assert alike(found, colours, first) > 0.999
    assert alike(found, colours, theirs) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("module", KINDS)
def test_through_the_store(tmp_path: Path, models: dict[str, tuple[Any, Tensors]], module: str) -> None:
    """By the file's published name, and shown as much as is published."""
    data, colours, size = KINDS[module]
    model, tensors = models[module]
    name = {"ade20k": "250_16_swin_l_oneformer_ade20k_160k", "coco": "oneformer_coco_swin_large"}[data]
    store = stored(tmp_path, name, authors(tensors) if data == "ade20k" else tensors)
    found = detected_map(preprocessor(module), store, encode(PICTURE), 128, -1, -1)
    first, _ = wanted(processor(tmp_path, size), model, 0.995)
    assert alike(found, colours, first) > 0.99, "but for what the picture's enlargement rounds otherwise"


def test_the_task_in_tokens() -> None:
    """The numbers that stand for the task are those of the tokenizer."""
    assert load_tokenizer("!")(TASK).input_ids == list(TASK_TOKENS)


def test_colours() -> None:
    """As many as each data set has kinds: no two alike in COCO's, wall and person as published."""
    assert COCO_COLOURS.shape == (133, 3)
    assert len({tuple(one) for one in COCO_COLOURS.tolist()}) == 133
    assert COCO_COLOURS[0].tolist() == [220, 20, 60]
    assert COCO_COLOURS[-1].tolist() == [250, 141, 255]
    assert ADE_COLOURS[0].tolist() == [120, 120, 120]


@torch.inference_mode()
def test_long_pictures(models: dict[str, tuple[Any, Tensors]]) -> None:
    """A picture that is narrower than a window where it is seen smallest has a map as well, and the next one
    its own."""
    network = OneformerSegments(models["seg_ofade20k"][1], colours=ADE_COLOURS, sides=(128, 512))
    first = network(SHOWN)
    assert network(F.interpolate(SHOWN, (64, 1280))).shape == (64, 1280, 3)
    assert (network(SHOWN) == first).all()


def test_another_data_sets_file(tmp_path: Path, models: dict[str, tuple[Any, Tensors]]) -> None:
    """Is told by how many kinds it knows; a missing one by its name."""
    with pytest.raises(InvalidRequest, match="this one needs oneformer_coco_swin_large"):
        detected_map(preprocessor("seg_ofcoco"), Store(tmp_path), encode(PICTURE), 64, -1, -1)
    store = stored(tmp_path, "oneformer_coco_swin_large", models["seg_ofade20k"][1])
    with pytest.raises(FileError, match="150 kinds of things, not 133"):
        detected_map(preprocessor("seg_ofcoco"), store, encode(PICTURE), 64, -1, -1)
