"""How long a prompt may be. Looked at before it is put together where pieces multiply: a style with a
thousand `{prompt}` in it, taken three times, is a billion prompts."""

from __future__ import annotations

from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest

MAX_PROMPT_CHARACTERS = 20_000


def check_length(field: str, characters: int, most: int = MAX_PROMPT_CHARACTERS) -> None:
    """Raise InvalidRequest for a text of more characters than `most`."""
    if characters > most:
        raise InvalidRequest(
            field,
            remark("counted_characters", "{n} characters", n=characters),
            remark("up_to_characters", "up to {most} characters", most=most),
        )


def check_replaced(field: str, text: str, old: str, new: str) -> None:
    """Raise InvalidRequest where `text` would be too long with `new` in each place of `old`."""
    check_length(field, len(text) + text.count(old) * (len(new) - len(old)))
