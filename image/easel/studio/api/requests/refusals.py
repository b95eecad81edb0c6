"""What is refused of a request, in words."""

from __future__ import annotations

from collections.abc import Sequence

from easel.remark import remark


class Unsupported(Exception):
    """A field asks for something that this studio does not do and that would change the picture."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(
            remark("not_supported", "{field} is not supported here: {why}", about=field, field=field, why=why)
        )
        self.field = field


class UnknownScript(Exception):
    """A request names a script that is not here, or switches one on. `words` are A1111's, which clients look
    for."""

    def __init__(self, words: str, known: Sequence[str]) -> None:
        self.words = words
        text = "{words}: here are {known}; switch it off, or leave it out"
        super().__init__(remark("no_such_script", text, words=words, known=", ".join(known)))
