"""One call of the backbone for several pictures, each with networks of its own."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby

import torch

from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.calls.run import Run, as_written
from easel.studio.engine.calls.transformer_call import call_transformer
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.picture import Picture, call_unet
from easel.studio.engine.serving import Serving


def answer_together(serving: Serving, pictures: Sequence[Picture]) -> list[tuple[Picture, torch.Tensor]]:
    """Make the call that pictures of one kind wait for. Returns the answer to each, float32.

    Those with the same networks stand side by side in it, so that theirs are one product.
    """
    waiting = [(picture, picture.call) for picture in pictures if isinstance(picture.call, BackboneCall)]
    sets = [call.networks for _, call in waiting]
    waiting.sort(key=lambda one: sets.index(one[1].networks))
    calls = [call for _, call in waiting]
    answers = _as_it_is(serving, calls) or _as_written(serving, calls)
    return [(picture, answer) for (picture, _), answer in zip(waiting, answers, strict=True)]


def _as_it_is(serving: Serving, calls: list[BackboneCall]) -> list[torch.Tensor]:
    """Compiled, recorded or both; nothing where neither is there for these: both know the backbone as its
    file has it, and nothing of what people bring."""
    compiled, recorded = serving.compiled, serving.recorded
    compiles = compiled is not None and compiled.take(calls)
    records = recorded is not None and recorded.take(calls)
    if not compiles and not records:
        return []
    serving.adapters.step_aside()
    run = recorded.answer if recorded is not None and records else as_written
    if compiled is not None and compiles:
        return compiled.call(lambda: call_backbone(serving.checkpoint, calls, run))
    return call_backbone(serving.checkpoint, calls, run)


def _as_written(serving: Serving, calls: list[BackboneCall]) -> list[torch.Tensor]:
    """With what people bring: networks, and what attentions make of their texts."""
    shares = []
    for networks, found in groupby(calls, key=lambda call: call.networks):
        alike = list(found)
        loras = alike[0].loras
        shares.append((sum(call.rows for call in alike), loras))
        with serving.adapters.at_work(loras):
            for call in alike:
                serving.text_keys.read(call.guidance, networks)
    with (
        serving.adapters.by_row(shares),
        serving.text_keys.at_work([call.guidance for call in calls]),
    ):
        return call_backbone(serving.checkpoint, calls)


def call_backbone(
    checkpoint: Checkpoint, calls: list[BackboneCall], run: Run = as_written
) -> list[torch.Tensor]:
    """One call of the checkpoint's backbone for those of one kind. Returns the output for each,
    float32."""
    if checkpoint.family.flow is not None:
        return call_transformer(checkpoint, calls, run)
    return call_unet(checkpoint.backbone, calls, checkpoint.dtype, run)


def timed_as(kind: Hashable, pictures: Iterable[Picture]) -> Hashable:
    """What the times of calls of this kind are kept by, while these pictures are under way: networks make a
    call longer, though those who draw with some share it with those who draw with none."""
    alike = (one.call for one in pictures if isinstance(one.call, BackboneCall) and one.kind == kind)
    return kind, any(call.loras for call in alike)
