"""Families that read with a language model: Z-Image, FLUX.2 and Qwen-Image.

The whole text is one sentence to it. A weight of a word would have no meaning there, so brackets are taken
off, and it is said.
"""

from __future__ import annotations

import torch

from easel.remark import Remark, remark
from easel.studio.engine.text_models import decoder, mistral3, qwen3, qwen25_vl, qwen25_vl_pictures
from easel.studio.engine.text_models.model import EncodedText
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.text_models.weighed_tokens import plain, weighs


def z_image(text: str, reading: Reading) -> EncodedText:
    """Qwen3's layer before last, of the words and what stands around them."""
    whole, notes = _words(text, reading)
    ids, said = _ids(qwen3.asked(whole, thinks=True), reading, "qwen3-4b", "Qwen3")
    tokens = decoder.states(reading.encoders["qwen3-4b"], reading.tensor(ids))
    return EncodedText(tokens, _all(tokens), None, (*notes, *said))


def flux2_klein(text: str, reading: Reading) -> EncodedText:
    """Three layers of Qwen3 side by side, of the longest text's length: padding, behind it, counts too."""
    whole, notes = _words(text, reading)
    role = next(role for role in ("qwen3-4b", "qwen3-8b") if role in reading.encoders)
    ids, said = _ids(qwen3.asked(whole, thinks=False), reading, role, "Qwen3")
    free = reading.most - len(ids)
    tokens = decoder.states(
        reading.encoders[role],
        reading.tensor([*ids, *[qwen3.PAD] * free]),
        qwen3.KLEIN_LAYERS,
        reading.tensor([1] * len(ids) + [0] * free),
    )
    return EncodedText(tokens, None, None, (*notes, *said))


def flux2(text: str, reading: Reading) -> EncodedText:
    """Three layers of Mistral side by side, of the longest text's length: padding, before it, counts too."""
    whole, notes = _words(text, reading)
    role = "mistral-small-24b"
    found = reading.tokenizer(role).encode(mistral3.asked(whole), add_special_tokens=False).ids
    ids = [mistral3.BEGIN, *found][: reading.most]
    said = reading.left_out(len(found) + 1, reading.most, "Mistral")
    free = reading.most - len(ids)
    tokens = decoder.states(
        reading.encoders[role],
        reading.tensor([*[mistral3.PAD] * free, *ids]),
        mistral3.LAYERS,
        reading.tensor([0] * free + [1] * len(ids)),
    )
    return EncodedText(tokens, None, None, (*notes, *said))


def qwen_image(text: str, reading: Reading) -> EncodedText:
    """Qwen2.5-VL's last layer, without the tokens of what it is told before the words."""
    whole, notes = _words(text, reading)
    asked = qwen25_vl.asked(whole)
    most = reading.most + qwen25_vl.DROPPED
    found = reading.tokenizer("qwen2.5-vl-7b").encode(asked, add_special_tokens=False).ids
    states = decoder.states(reading.encoders["qwen2.5-vl-7b"], reading.tensor(found[:most]))
    tokens = states[:, qwen25_vl.DROPPED :]
    said = reading.left_out(len(found) - qwen25_vl.DROPPED, reading.most, "Qwen2.5-VL")
    return EncodedText(tokens, _all(tokens), None, (*notes, *said))


def qwen_image_edit(text: str, reading: Reading) -> EncodedText:
    """Qwen2.5-VL's last layer, of the pictures and the words: how to change what it sees."""
    whole, notes = _words(text, reading)
    tokenizer = reading.tokenizer("qwen2.5-vl-7b")
    words = tokenizer.encode(whole, add_special_tokens=False)
    said = reading.left_out(len(words.ids), reading.most, "Qwen2.5-VL")
    if said:
        whole = whole[: words.offsets[reading.most][0]]
    tokens = qwen25_vl_pictures.states(
        reading.encoders["qwen2.5-vl-7b"], whole, reading.pictures, tokenizer, numbered=reading.numbered
    )
    return EncodedText(tokens, _all(tokens), None, (*notes, *said))


def _words(text: str, reading: Reading) -> tuple[str, tuple[Remark, ...]]:
    whole = plain(text, reading.emphasis)
    if not weighs(text, reading.emphasis):
        return whole, ()
    words = "A language model reads this, to which weights of words mean nothing: brackets were taken off."
    return whole, (remark("weights_unread", words, about=reading.about),)


def _ids(asked: str, reading: Reading, role: str, encoder: str) -> tuple[list[int], tuple[Remark, ...]]:
    found = reading.tokenizer(role).encode(asked, add_special_tokens=False).ids
    return found[: reading.most], reading.left_out(len(found), reading.most, encoder)


def _all(tokens: torch.Tensor) -> torch.Tensor:
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
