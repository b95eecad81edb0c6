"""From words to what a transformer attends to, call by call; A1111's prompt language as far as it has a
meaning there: AND, schedules and alternatives are texts of their own, brackets are what the family's text
encoders make of them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Mapping

from easel.remark import Remark, remark
from easel.studio import allowed
from easel.studio.engine.calls.device_clock import DeviceClock
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.schedule import Entry
from easel.studio.engine.text_models.encoding import encode_texts
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.texts.conditioning_schedule import ConditioningSchedule, PaddedSchedule, Track
from easel.studio.engine.texts.prompt_plans import prompt_plans
from easel.studio.engine.texts.text_encoding import Conditioning, HowToEncode
from easel.studio.engine.transformers.empty_inputs import token_width

# Texts that one picture goes through: `[a|b|…]` makes a text a step.
MAX_TEXTS = 40
# Texts that are remembered: one of T5's with 512 tokens is 4 MB in half precision.
REMEMBERED = 64
_PLAIN = HowToEncode()
# Qwen-Image-Edit since version 2509 was trained with pictures that have numbers; no header tells.
_NUMBERED = re.compile(r"25(?:09|1\d)|plus", re.IGNORECASE)


class TransformerPrompts:
    """Encodes prompts for one checkpoint, and remembers the last few: the negative one is mostly the same.
    Stands where `conditioning.PromptEncoder` stands for a UNet."""

    def __init__(self, checkpoint: Checkpoint, clock: DeviceClock | None = None) -> None:
        self._checkpoint = checkpoint
        self._clock = clock or DeviceClock(checkpoint.device)
        self._cache: OrderedDict[Hashable, tuple[Conditioning, tuple[Remark, ...]]] = OrderedDict()

    def schedule(
        self,
        prompt: str,
        negative: str | None,
        how: HowToEncode = _PLAIN,
        *,
        steps: int,
        hires_steps: int | None = None,
    ) -> ConditioningSchedule:
        """What a picture attends to in one pass, all of it encoded now; arguments as of
        `prompt_plans`. Raises InvalidRequest for too many parts or texts."""
        plans = prompt_plans(prompt, negative, steps, hires_steps)
        away = plans.negative
        notes: dict[Remark, None] = {}
        tracks = [self._track("prompt", plan, how, notes) for plan in plans.parts]
        against = None if away is None else self._track("negative_prompt", away, how, notes)
        return PaddedSchedule(tracks, plans.weights, against, notes)

    def encode(self, text: str, how: HowToEncode = _PLAIN) -> Conditioning:
        """One text as it stands."""
        return self._encoded("prompt", [text], how, {})[text]

    def mentioned(self, texts: Iterable[str], names: Collection[str]) -> set[str]:
        """None: embeddings are vectors of CLIP's, which these attend to by its pooled vector at most."""
        return set()

    def _track(
        self, field: str, plan: tuple[Entry, ...], how: HowToEncode, notes: dict[Remark, None]
    ) -> Track:
        texts = list(dict.fromkeys(entry.text for entry in plan))
        if len(texts) > MAX_TEXTS:
            raise InvalidRequest(
                field,
                remark("counted_prompts", "{n} texts in the course of its steps", n=len(texts)),
                allowed.up_to(MAX_TEXTS),
            )
        return Track(plan, self._encoded(field, texts, how, notes))

    def _encoded(
        self, field: str, texts: list[str], how: HowToEncode, notes: dict[Remark, None]
    ) -> Mapping[str, Conditioning]:
        read = how.id()  # of the pictures too, all of whose pixels are hashed for it: once
        keys = {text: (field, text, read) for text in texts}
        unknown = [text for text, key in keys.items() if key not in self._cache]
        if unknown:
            family = self._checkpoint.family.name
            with self._clock.call("text_encoder"):
                made = encode_texts(family, unknown, self._reading(field, how))
            for text, one in zip(unknown, made, strict=True):
                self._cache[keys[text]] = Conditioning(one.tokens, one.pooled, one.mask), one.notes
        found: dict[str, Conditioning] = {}
        for text, key in keys.items():
            self._cache.move_to_end(key)
            found[text], said = self._cache[key]
            notes.update(dict.fromkeys(said))
        while len(self._cache) > REMEMBERED:
            self._cache.popitem(last=False)
        return found

    def _reading(self, field: str, how: HowToEncode) -> Reading:
        checkpoint, flow = self._checkpoint, self._checkpoint.family.flow
        assert flow is not None  # noqa: S101 - it is for these alone
        roles = (one.role for one in checkpoint.family.text_encoders)
        return Reading(
            encoders=dict(zip(roles, checkpoint.text_encoders, strict=True)),
            device=checkpoint.device,
            most=flow.tokens,
            width=token_width(checkpoint.backbone.config),
            emphasis=how.emphasis,
            about=field,
            tokenizers=checkpoint.vocabularies,
            pictures=how.pictures,
            # of several a number is all that tells them apart, whatever the file is called
            numbered=len(how.pictures) > 1 or bool(_NUMBERED.search(checkpoint.file.name)),
        )
