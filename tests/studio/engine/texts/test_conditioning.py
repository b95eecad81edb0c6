"""From words to vectors: embeddings found by tokens, in files of every writer; clip skip where it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from easel.models import Architecture, Incomplete, Kind, WrongKind
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from easel.studio.engine.texts.conditioning import PromptEncoder
from easel.studio.engine.texts.embeddings import Embedding, Names, load_embedding
from easel.studio.engine.texts.text_encoding import HowToEncode
from tests.studio.engine.networks.test_lora import checkpoint
from tests.studio.engine.tiny import Tiny, model_file, tiny


@pytest.fixture(scope="module")
def tinies(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {one: tiny(one, folder) for one in (Architecture.SD1, Architecture.SD2, Architecture.SDXL)}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer("<|endoftext|>")


def names_in(tokenizer: Any, text: str, *names: str) -> list[str]:
    return [name for _, name in Names(tokenizer, names).split(text) if name]


@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("a easy b", ["easy"], ["easy"]),
        ("easyly uneasy", ["easy"], []),
        ("EASY-negative", ["easy", "easy-negative"], ["easy-negative"]),
        ("easy, easy-negative", ["easy", "easy-negative"], ["easy", "easy-negative"]),
        ("easy - negative", ["easy-negative"], ["easy-negative"]),
        ("my style (v2), red", ["my style (v2)"], ["my style (v2)"]),
        ("a cat,my  style (V2)", ["my style (v2)"], ["my style (v2)"]),
        ("[style], red", ["[style]"], ["[style]"]),
        ("mystyle!!!, style!!! b", ["style!!!"], ["style!!!"]),
        ("wow!!!", ["wow!"], []),
        ("背景,easy、", ["easy"], ["easy"]),
        ("「easy」", ["easy"], ["easy"]),
        ("easy背景", ["easy"], []),
        ("one two three", ["two three", "one two"], ["one two"]),
        ("a", [], []),
        ("a", [""], []),
    ],
)
def test_names_by_tokens(tokenizer: Any, text: str, names: list[str], found: list[str]) -> None:
    """A name is where its tokens are, from the left, the longest first; so never within a word."""
    assert names_in(tokenizer, text, *names) == found


@given(st.text(max_size=12), st.lists(st.sampled_from(["easy", "my style", "x-y", "猫"]), max_size=3))
def test_nothing_is_lost_beside_names(tokenizer: Any, text: str, names: list[str]) -> None:
    """Tokens that are no name's stay, in their order; taken together it is the text again."""
    text = f"{text} easy x-y {text}"
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = {name: tokenizer(name, add_special_tokens=False)["input_ids"] for name in names}
    again: list[int] = []
    for token, name in Names(tokenizer, names).split(text):
        again += ids[name] if name else [token]
    assert again == tokens


def test_text_without_a_space(tinies: dict[Architecture, Tiny], tokenizer: Any) -> None:
    """Behind text of a script without spaces, the vectors stand where the name's tokens stood.

    Judge: the tokens themselves. Where they end in the name's, the vectors take their place.
    """
    whole = checkpoint(tinies[Architecture.SD1])
    encode = PromptEncoder(whole)
    width = whole.text_encoders[0].config.hidden_size
    own = whole.text_encoders[0].get_input_embeddings().weight
    for text in ("背景easy", "背景 easy", "红色,easy"):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        easy = tokenizer("easy", add_special_tokens=False)["input_ids"]
        there = any(tokens[n : n + len(easy)] == easy for n in range(len(tokens)))
        assert encode.mentioned([text], ["easy"]) == ({"easy"} if there else set())
        same = Embedding(model_file(Path(__file__), Kind.EMBEDDING), (own[easy].detach(),))
        other = Embedding(model_file(Path(__file__), Kind.EMBEDDING), (torch.ones(len(easy), width),))
        plain = encode.encode(text).tokens
        assert torch.allclose(
            encode.encode(text, HowToEncode(embeddings={"easy": same}, key=1)).tokens, plain, atol=1e-6
        )
        changed = encode.encode(text, HowToEncode(embeddings={"easy": other}, key=2)).tokens
        assert torch.equal(changed, plain) is not there


def test_input_vectors_are_the_embedding(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Of `clip_l` and `clip_l_out` the first is the embedding; what is left out is named."""
    path = tmp_path / "thing.safetensors"
    sdxl = checkpoint(tinies[Architecture.SDXL])
    first, second = (one.config.hidden_size for one in sdxl.text_encoders)
    save_file(
        {"clip_g": torch.full((2, second), 2.0), "clip_g_out": torch.zeros(2, second),
         "clip_l_out": torch.zeros(2, first), "clip_l": torch.ones(2, first), "t5": torch.ones(2, 4096)},
        path,
    )  # fmt: skip
    found = load_embedding(model_file(path, Kind.EMBEDDING), sdxl)
    assert [float(one.mean()) for one in found.vectors] == [1.0, 2.0]
    assert set(found.left_out) == {"clip_g_out", "clip_l_out", "t5"}
    sd1 = checkpoint(tinies[Architecture.SD1])
    with pytest.raises(OtherArchitecture):
        load_embedding(model_file(path, Kind.EMBEDDING), sd1)
    for name in ("clip_l", "emb_params", "emp_params", "<thing>"):
        save_file({name: torch.ones(2, first), f"{name}_out": torch.zeros(2, first)}, path)
        one = load_embedding(model_file(path, Kind.EMBEDDING), sd1)
        assert float(one.vectors[0].mean()) == 1.0
        assert one.left_out == (f"{name}_out",)
    save_file({"clip_l": torch.ones(2, first)}, path)
    with pytest.raises(OtherArchitecture):
        load_embedding(model_file(path, Kind.EMBEDDING), sdxl)


def test_two_terms_in_one_file(tinies: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """None is picked: the file is refused, and both are named."""
    path = tmp_path / "two.safetensors"
    whole = checkpoint(tinies[Architecture.SD1])
    width = whole.text_encoders[0].config.hidden_size
    save_file({"<cat>": torch.ones(2, width), "<dog>": torch.ones(1, width)}, path)
    with pytest.raises(Incomplete, match=r"several terms, '<cat>' and '<dog>'"):
        load_embedding(model_file(path, Kind.EMBEDDING), whole)
    save_file({"a.lora_down.weight": torch.ones(4, width)}, path)
    with pytest.raises(WrongKind, match="a LoRA"):
        load_embedding(model_file(path, Kind.EMBEDDING), whole)


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / one.norm())


@pytest.mark.parametrize("architecture", [Architecture.SDXL, Architecture.SD2])
def test_clip_skip_counts_for_nothing(tinies: dict[Architecture, Tiny], architecture: Architecture) -> None:
    """SDXL and SD 2.x are read at the layer they were trained on, whatever is asked, as A1111 does."""
    encode = PromptEncoder(checkpoint(tinies[architecture]))
    usual = encode.encode("a cat").tokens
    for layers in (1, 2, 5, 12):
        assert difference(usual, encode.encode("a cat", HowToEncode(layers)).tokens) == 0


def test_clip_skip_of_sd1(tinies: dict[Architecture, Tiny]) -> None:
    """For SD 1.x it counts: the judge is transformers, layer before last with the final norm."""
    whole = checkpoint(tinies[Architecture.SD1])
    encoder, tokenizer = whole.text_encoders[0], whole.tokenizers[0]
    found = PromptEncoder(whole).encode("a cat", HowToEncode(2)).tokens
    with torch.inference_mode():
        ids = tokenizer("a cat", padding="max_length", max_length=77, return_tensors="pt").input_ids
        hidden = encoder(ids, output_hidden_states=True).hidden_states[-2]
        meant = getattr(encoder, "text_model", encoder).final_layer_norm(hidden)
    assert torch.allclose(found, meant, atol=1e-5)


def test_the_option_for_sdxl(tinies: dict[Architecture, Tiny]) -> None:
    """With `sdxl_clip_l_skip` OpenAI's encoder is read at the asked layer from the last: 2 is the usual one.

    Judge: the encoder's own hidden states. OpenCLIP's half never changes.
    """
    whole = checkpoint(tinies[Architecture.SDXL])
    encode = PromptEncoder(whole)
    first = whole.text_encoders[0].config.hidden_size
    usual = encode.encode("a cat").tokens
    assert torch.equal(usual, encode.encode("a cat", HowToEncode(2, clip_l_skip=True)).tokens)
    last = encode.encode("a cat", HowToEncode(clip_l_skip=True)).tokens
    with torch.inference_mode():
        ids = whole.tokenizers[0]("a cat", padding="max_length", max_length=77, return_tensors="pt").input_ids
        hidden = whole.text_encoders[0](ids, output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(last[..., :first], hidden, atol=1e-5)
    assert torch.equal(last[..., first:], usual[..., first:])
