"""Text encoders with the published vocabularies, narrow layers and random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import vocabularies
from easel.studio.engine.text_models.buffers import restore_buffers
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.text_models.table import text_model

CPU = torch.device("cpu")
T5_WIDTH = 48
PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())
"""The encoders' configurations as published, by role."""
_CLIP = {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
_DECODER = {
    "num_hidden_layers": 30,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "hidden_size": 32,
    "intermediate_size": 24,
}
_NARROW: dict[str, dict[str, Any]] = {
    "clip-l": {**_CLIP, "hidden_size": 16, "projection_dim": 16},
    "clip-g": {**_CLIP, "hidden_size": 24, "projection_dim": 24},
    "qwen3-4b": {**_DECODER, "head_dim": 16},
    "qwen3-8b": {**_DECODER, "head_dim": 16, "hidden_size": 40},
    "qwen2.5-vl-7b": {
        **_DECODER,
        "num_hidden_layers": 3,
        "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [2, 3, 3]},
    },
    "t5-xxl": {"num_layers": 3, "num_heads": 2, "d_model": T5_WIDTH, "d_kv": 8, "d_ff": 32},
}


def narrow(role: str) -> dict[str, Any]:
    """A published configuration with fewer and narrower layers."""
    if role == "mistral-small-24b":
        text = {**PUBLISHED[role]["text_config"], **_DECODER, "num_hidden_layers": 32, "head_dim": 16}
        return {**PUBLISHED[role], "text_config": {**text, "vocab_size": 400}}
    return {**PUBLISHED[role], **_NARROW[role]}


def qwen25_vl_with_tiny_sight() -> dict[str, Any]:
    config = narrow("qwen2.5-vl-7b")
    sight = {"depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
    return {**config, "vision_config": {**config["vision_config"], **sight, "fullatt_block_indexes": [1]}}


def tiny_encoder(role: str, family: str = "", seed: int = 0) -> Any:
    """An encoder as the engine builds it, from tensors that are under the module's own names."""
    model = text_model(family, role)
    module = model.skeleton(narrow(role))
    return filled(role, module, random_tensors(module, seed), family)


def random_tensors(module: Any, seed: int = 0) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    found = {}
    for name, one in module.state_dict().items():
        scale = 1.0 if "norm" in name else 0.2
        found[name] = torch.randn(one.shape, generator=made) * scale
    return found


def filled(role: str, module: Any, tensors: dict[str, torch.Tensor], family: str = "") -> Any:
    """The module with a file's tensors in it, ready."""
    converted = text_model(family, role).convert(tensors, module)
    module.load_state_dict(converted, strict=True, assign=True)
    restore_buffers(module, CPU)
    return module.eval().requires_grad_(False)


def reading(encoders: dict[str, Any], most: int, emphasis: EmphasisMode = EmphasisMode.ORIGINAL) -> Reading:
    return Reading(encoders, CPU, most, T5_WIDTH, emphasis)


def projected_by_one(encoder: Any) -> Any:
    """CLIP-L as diffusers' folder of SD3 has it: with the unit matrix for a projection."""
    made = CLIPTextModelWithProjection(CLIPTextConfig(**narrow("clip-l"))).eval()
    made.text_model.load_state_dict(encoder.state_dict())
    made.text_projection.weight.data = torch.eye(16)
    return made


def t5_tokenizer(folder: Path) -> Any:
    """As transformers reads the published file."""
    path = folder / "tokenizer.json"
    path.write_text(vocabularies.t5().to_str())
    return PreTrainedTokenizerFast(tokenizer_file=str(path), pad_token="<pad>", eos_token="</s>")


def qwen_tokenizer(added: Tokenizer) -> Any:
    """Transformers' own, of the same byte pairs; Qwen3's way to ask and begin an answer."""
    model = json.loads(added.to_str())["model"]
    made = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    made.add_tokens(
        [
            AddedToken(one["content"], special=one["special"], normalized=False)
            for one in json.loads(added.to_str())["added_tokens"]
        ]
    )
    made.chat_template = (
        "{% for one in messages %}<|im_start|>{{ one.role }}\n{{ one.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
        "{% endif %}"
    )
    return made


def answer(role: str, module: Any) -> torch.Tensor:
    """All that it says of four tokens."""
    ids = torch.tensor([[7, 8, 9, 49407 if role.startswith("clip") else 1]])
    more = {} if role.startswith(("clip", "t5")) else {"use_cache": False}
    with torch.inference_mode():
        output = module(ids, **more)
    return torch.cat([one.flatten() for one in output.values() if isinstance(one, torch.Tensor)])
