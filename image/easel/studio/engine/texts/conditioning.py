"""From words to what the UNet attends to, call by call: parts, schedules and the negative prompt together."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

import torch

from easel.remark import figure, remark
from easel.studio.engine.calls.device_clock import DeviceClock
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.composition import parts
from easel.studio.engine.prompts.emphasis import MAX_WEIGHT, EmphasisMode, breaks_in_brackets, spans
from easel.studio.engine.prompts.schedule import Entry, readings
from easel.studio.engine.texts.conditioning_schedule import ChunkedSchedule, ConditioningSchedule, Track
from easel.studio.engine.texts.embeddings import Names
from easel.studio.engine.texts.prompt_plans import prompt_plans
from easel.studio.engine.texts.text_encoding import Conditioning, HowToEncode, encoded
from easel.studio.engine.texts.token_chunks import CHUNK

# Chunks of a prompt, 3000 tokens: every one makes each of the UNet's calls longer, and the encoding.
MAX_CHUNKS = 40
# Chunks of all texts that one picture goes through, a second of a card's time: `[a|b|…]` makes a text a step.
MAX_ENCODED_CHUNKS = 400
# 200 MB with SDXL at half precision.
CACHED_CHUNKS = 640
_PLAIN = HowToEncode()


class PromptEncoder:
    """Encodes prompts for one checkpoint, and remembers the last few: the negative one is mostly the same."""

    def __init__(self, checkpoint: Checkpoint, clock: DeviceClock | None = None) -> None:
        self._checkpoint = checkpoint
        self._clock = clock or DeviceClock(checkpoint.device)
        self._cache: OrderedDict[Hashable, dict[str, Conditioning]] = OrderedDict()

    def schedule(
        self,
        prompt: str,
        negative: str | None,
        how: HowToEncode = _PLAIN,
        *,
        steps: int,
        hires_steps: int | None = None,
    ) -> ConditioningSchedule:
        """What a picture attends to in one pass, all of it encoded now.

        Arguments as of `prompt_plans`. Raises InvalidRequest for too many tokens, parts or texts.
        """
        plans = prompt_plans(prompt, negative, steps, hires_steps)
        away = plans.negative
        spent = self._count("prompt", plans.parts, how, 0)
        if away is not None:
            self._count("negative_prompt", [away], how, spent)
        return ChunkedSchedule(
            [self._track(plan, how) for plan in plans.parts],
            plans.weights,
            None if away is None else self._dropped(self._track(away, how)),
            empty=lambda: self.encode("", how).tokens,
            pad=how.pad_cond_uncond,
            notes=_notes(prompt, negative or "", how),
        )

    def encode(self, text: str, how: HowToEncode = _PLAIN) -> Conditioning:
        """One text as it stands."""
        return self._encoded({text: 1}, how)[text]

    def mentioned(self, texts: Iterable[str], names: Collection[str]) -> set[str]:
        """Those of `names` (of embeddings, in lower case) that stand in one of the texts."""
        if not names:
            return set()
        known = Names(self._checkpoint.tokenizers[0], names)
        said = {span.text for text in texts for one in readings(text) for span in spans(one) if span.text}
        return {name for text in said for _, name in known.split(text) if name}

    def _track(self, plan: tuple[Entry, ...], how: HowToEncode) -> Track:
        return Track(plan, self._encoded(_counted(plan), how))

    def _dropped(self, track: Track) -> Track:
        """SDXL was trained with nothing at all where the text was dropped."""
        if not self._checkpoint.family.zero_empty or any(track.texts):
            return track
        return Track(track.entries, {text: _zeros(one) for text, one in track.texts.items()})

    def _encoded(self, texts: Mapping[str, int], how: HowToEncode) -> dict[str, Conditioning]:
        whole = (tuple(texts.items()), how.id())
        if whole in self._cache:
            self._cache.move_to_end(whole)
            return self._cache[whole]
        with self._clock.call("text_encoder"):
            found = dict(zip(texts, encoded(self._checkpoint, texts, how), strict=True))
        self._cache[whole] = found
        while len(self._cache) > 1 and sum(map(_chunks, self._cache.values())) > CACHED_CHUNKS:
            self._cache.popitem(last=False)
        return found

    def _count(self, field: str, plans: Iterable[tuple[Entry, ...]], how: HowToEncode, spent: int) -> int:
        """Chunks that are encoded by now. Raises InvalidRequest once it is too many."""
        for plan in plans:
            texts = _counted(plan)
            if (tuple(texts.items()), how.id()) in self._cache:
                continue
            longest = 0
            for text in texts:
                count = len(how.chunks(text, self._checkpoint.tokenizers[0]))
                longest = max(longest, count)
                if count > MAX_CHUNKS:
                    raise InvalidRequest(
                        field,
                        remark("counted_chunks", "{n} chunks of {tokens} tokens", n=count, tokens=CHUNK),
                        remark(
                            "up_to_chunks",
                            "up to {most} (a word is a token or two, and BREAK begins a chunk)",
                            most=MAX_CHUNKS,
                        ),
                    )
                if spent + longest * len(texts) > MAX_ENCODED_CHUNKS:
                    raise InvalidRequest(
                        field,
                        remark(
                            "counted_texts",
                            "{n} texts of {chunks} chunks in the course of its steps",
                            n=len(texts),
                            chunks=longest,
                        ),
                        remark(
                            "up_to_encoded",
                            "up to {most} chunks (a [from:to:when] is a text more, and [a|b|c] "
                            "as many as it has choices)",
                            most=MAX_ENCODED_CHUNKS,
                        ),
                    )
            spent += longest * len(texts)
        return spent


def _counted(plan: Iterable[Entry]) -> Mapping[str, int]:
    """Each text with how often it stands in the plan; one that stands alone, once."""
    counts = Counter(entry.text for entry in plan)
    return counts if len(counts) > 1 else dict.fromkeys(counts, 1)


def _chunks(texts: Mapping[str, Conditioning]) -> int:
    return sum(one.tokens.shape[1] // (CHUNK + 2) for one in texts.values())


def _zeros(one: Conditioning) -> Conditioning:
    pooled = None if one.pooled is None else torch.zeros_like(one.pooled)
    return Conditioning(torch.zeros_like(one.tokens), pooled)


def _notes(prompt: str, negative: str, how: HowToEncode) -> Iterator[str]:
    composed = parts(prompt)
    if len(composed) == 1 and composed[0].weight != 1:
        yield (
            remark(
                "last_colon",
                "The number behind the prompt's last colon, {weight}, was read as the weight of "
                "the whole prompt, as A1111 reads it; put a comma behind it if it is none.",
                about="prompt",
                weight=figure(composed[0].weight, "g"),
            )
        )
    if how.emphasis is not EmphasisMode.NONE and any(map(breaks_in_brackets, (prompt, negative))):
        words = "A BREAK in brackets began a chunk; A1111 reads it as a word there."
        yield remark("break_in_brackets", words, about="prompt")
    heaviest = [part.weight for part in composed]
    heaviest += [span.weight for text in (prompt, negative) for span in spans(text, how.emphasis)]
    if max(map(abs, heaviest)) >= MAX_WEIGHT:
        words = "Weights end at {most}, which what was written goes beyond."
        yield remark("weights_end", words, about="prompt", most=figure(MAX_WEIGHT, "g"))
