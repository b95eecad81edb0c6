"""FLUX.2 [dev] reads a text with Mistral, whose tokenizer comes from beside its weights."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.flux2.pipeline_flux2 import Flux2Pipeline
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from transformers.models.mistral.configuration_mistral import MistralConfig
from transformers.models.mistral.modeling_mistral import MistralModel

from easel.studio.engine.text_models.encoding import encode_texts
from easel.studio.engine.text_models.mistral3 import tokenizer_beside, tokenizer_of
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import CPU, filled, narrow

ROLE = "mistral-small-24b"
SPECIAL = 36
MARKS = {
    1: "<s>",
    2: "</s>",
    3: "[INST]",
    4: "[/INST]",
    10: "[IMG]",
    11: "<pad>",
    17: "[SYSTEM_PROMPT]",
    18: "[/SYSTEM_PROMPT]",
}
PAIRS = [b"re", b"red", b" c", b"at", b" cat", b"th", b"the", b" obj"]


def tekken() -> bytes:
    """A small vocabulary as Mistral writes it: bytes, pairs, and more of both than the model has."""
    tokens = [bytes([byte]) for byte in range(256)] + PAIRS + [b"too", b"many"]
    return json.dumps(
        {
            "config": {
                "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+",
                "num_vocab_tokens": len(tokens),
                "default_vocab_size": SPECIAL + 256 + len(PAIRS),
                "default_num_special_tokens": SPECIAL,
                "version": "v11",
            },
            "vocab": [
                {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
                for rank, token in enumerate(tokens)
            ],
            "special_tokens": [{"rank": rank, "token_str": mark} for rank, mark in MARKS.items()],
        }
    ).encode()


class Processor:
    """What diffusers asks of Mistral's processor: its template, padded on the left to the whole length."""

    def apply_chat_template(self, messages: Any, max_length: int, **_: Any) -> dict[str, torch.Tensor]:
        (one,) = messages
        system, user = (message["content"][0]["text"] for message in one)
        text = f"<s>[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT][INST]{user}[/INST]"
        ids = tokenizer_of(tekken()).encode(text).ids[:max_length]
        free = max_length - len(ids)
        return {
            "input_ids": torch.tensor([[11] * free + ids]),
            "attention_mask": torch.tensor([[0] * free + [1] * len(ids)]),
        }


@pytest.mark.parametrize("text", ["", r"the red cat \[IMG\] 猫", "red cats, " * 200])
def test_flux2(text: str) -> None:
    """Layers 10, 20 and 30 side by side, padding before them, as diffusers' pipeline gives them."""
    torch.manual_seed(0)
    config = MistralConfig.from_dict(narrow(ROLE)["text_config"])
    published = MistralModel(config).eval().requires_grad_(False)
    module = text_model("flux2", ROLE).skeleton(narrow(ROLE))
    mine = filled(ROLE, module, dict(published.state_dict()), "flux2")
    assert len(mine.layers) == 30
    with torch.inference_mode():
        wanted = Flux2Pipeline._get_mistral_3_small_prompt_embeds(
            text_encoder=published,
            tokenizer=Processor(),
            prompt=text.replace("\\", ""),
            system_message=SYSTEM_MESSAGE,
        )
    reading = Reading({ROLE: mine}, CPU, 512, 96, tokenizers={ROLE: tokenizer_of(tekken())})
    (found,) = encode_texts("flux2", [text], reading)
    torch.testing.assert_close(found.tokens, wanted, rtol=1e-6, atol=1e-6)
    assert found.mask is None
    assert [note.code for note in found.notes] == ["text_cut"] * (len(text) > 1000)


def test_mistrals_own_file() -> None:
    """Marks come first, each word is one token where there is one, and any text can be said."""
    made = tokenizer_of(tekken())
    said = made.encode("[INST]the red cat 猫[/INST]")
    rank = {pair: SPECIAL + 256 + place for place, pair in enumerate(PAIRS)}
    assert said.ids[:2] == [3, rank[b"the"]]
    assert said.ids[2:4] == [SPECIAL + ord(" "), rank[b"red"]]
    assert said.ids[4] == rank[b" cat"]
    assert said.ids[-1] == 4
    assert made.decode(said.ids) == "the red cat 猫"
    assert made.get_vocab_size() == SPECIAL + 256 + len(PAIRS)


def test_a_tokenizer_json_is_read_too() -> None:
    """As diffusers' folder has it."""
    again = tokenizer_of(tokenizer_of(tekken()).to_str().encode())
    assert again.encode("the red cat").ids == tokenizer_of(tekken()).encode("the red cat").ids


def test_it_is_found_beside_the_weights(tmp_path: Path) -> None:
    """In ComfyUI's file, in a file beside, in diffusers' folder; where there is none, what to do is said."""
    file = tmp_path / "text_encoder" / "model.safetensors"
    file.parent.mkdir()
    wanted = tokenizer_of(tekken()).to_str()
    held = torch.frombuffer(bytearray(tekken()), dtype=torch.uint8)
    assert tokenizer_beside(file, held).to_str() == wanted
    with pytest.raises(ValueError, match=r"put Mistral's tekken.json beside it"):
        tokenizer_beside(file, None)
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text(wanted)
    assert tokenizer_beside(file, None).to_str() == wanted
    (file.parent / "tekken.json").write_bytes(tekken())
    assert tokenizer_beside(file, None).to_str() == wanted


def test_no_tokenizer_is_an_error() -> None:
    """In words."""
    with pytest.raises(ValueError, match="Mistral's tokenizer cannot be read"):
        tokenizer_of(b'{"config": {}}')
