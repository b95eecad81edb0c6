"""Families that read with CLIP, with T5 or with both: Stable Diffusion 3, Flux.1 and Chroma.

Weights of words multiply what an encoder says of them, as Forge does it, and leave the pooled vectors alone.
Behind that "Original" keeps the mean of what CLIP says, as A1111 does. T5's has a mean near nought, by which
nothing can be divided: there "Original" is as "No norm".
"""

from __future__ import annotations

import torch
from torch import Tensor

from easel.remark import Remark, remark
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import clip, t5
from easel.studio.engine.text_models.model import EncodedText
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.text_models.weighed_tokens import weighed_tokens

_BEGIN, _END = 49406, 49407
# What texts are filled up with, as each encoder was trained.
_CLIP_PADS = {"clip-l": _END, "clip-g": 0}
_CLIP_WORDS = clip.LENGTH - 2


def stable_diffusion_3(text: str, reading: Reading) -> EncodedText:
    """CLIP's two side by side, filled up to T5's width, and T5's behind them; zeros for a missing T5."""
    halves, pooled, notes = [], [], list[Remark]()
    for role in ("clip-l", "clip-g"):
        states, vector, said = _clip(text, reading, role)
        halves.append(states)
        pooled.append(vector)
        notes += [one for one in said if one not in notes]
    both = torch.cat(halves, dim=-1)
    both = torch.nn.functional.pad(both, (0, reading.width - both.shape[-1]))
    if reading.encoders.get("t5-xxl") is None:
        large = both.new_zeros(1, reading.most, reading.width)
        words = "There is no T5 beside this checkpoint: it reads prompts with CLIP alone."
        notes.append(remark("no_t5", words))
    else:
        large, _, said = _t5(text, reading)
        notes += said
    return EncodedText(torch.cat([both, large.to(both)], dim=1), None, torch.cat(pooled, -1), tuple(notes))


def flux(text: str, reading: Reading) -> EncodedText:
    """T5's tokens, padding among them, and CLIP-L's pooled vector.

    That CLIP reads less of a long text is no news there: T5 reads it.
    """
    tokens, _, notes = _t5(text, reading)
    _, pooled, _ = _clip(text, reading, "clip-l")
    return EncodedText(tokens, None, pooled, notes)


def chroma(text: str, reading: Reading) -> EncodedText:
    """T5's tokens, which attend to no padding; the transformer then attends to the first one of it."""
    tokens, count, notes = _t5(text, reading, masked=True)
    mask = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0) <= count
    return EncodedText(tokens, mask, None, notes)


def _t5(text: str, reading: Reading, *, masked: bool = False) -> tuple[Tensor, int, tuple[Remark, ...]]:
    """What T5 says of a text, (1, most, width), and how many of the tokens are no padding."""
    found = weighed_tokens(reading.tokenizer("t5-xxl"), text, reading.emphasis)
    words, weights = found.ids[: reading.most - 1], found.weights[: reading.most - 1]
    count = len(words) + 1
    free = reading.most - count
    ids = reading.tensor([*words, t5.END, *[t5.PAD] * free])
    mask = reading.tensor([1] * count + [0] * free) if masked else None
    states = t5.hidden(reading.encoders["t5-xxl"], ids, mask)
    if any(weight != 1 for weight in weights):
        states = states * _column(weights, states)
    return states, count, reading.left_out(len(found.ids), reading.most - 1, "T5")


def _clip(text: str, reading: Reading, role: str) -> tuple[Tensor, Tensor, tuple[Remark, ...]]:
    """What an encoder of CLIP says of a text, (1, 77, width), and its pooled vector (1, width)."""
    found = weighed_tokens(reading.tokenizer(role), text, reading.emphasis)
    words, weights = found.ids[:_CLIP_WORDS], (1.0, *found.weights[:_CLIP_WORDS])
    pads = [_CLIP_PADS[role]] * (_CLIP_WORDS - len(words))
    states, pooled = clip.hidden_and_pooled(
        reading.encoders[role], reading.tensor([_BEGIN, *words, _END, *pads])
    )
    if any(weight != 1 for weight in weights):
        states = _keeping_mean(states, weights, reading.emphasis)
    return states, pooled, reading.left_out(len(found.ids), _CLIP_WORDS, "CLIP")


def _keeping_mean(states: Tensor, weights: tuple[float, ...], mode: EmphasisMode) -> Tensor:
    weighted = states * _column(weights, states)
    if mode is EmphasisMode.NO_NORM:
        return weighted
    before, after = states.float().mean(), weighted.float().mean()
    ratio = torch.where(after.abs() > 1e-8, before / after, torch.ones_like(after))
    return weighted * ratio.to(weighted)


def _column(weights: tuple[float, ...], states: Tensor) -> Tensor:
    """Weights of the first tokens, and 1 for those behind them, as (1, tokens, 1)."""
    whole = [*weights, *[1.0] * (states.shape[1] - len(weights))]
    return torch.tensor(whole, device=states.device, dtype=states.dtype).reshape(1, -1, 1)
