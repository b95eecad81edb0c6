"""What is refused of a request, in words."""

from __future__ import annotations

from collections.abc import Sequence


class Unsupported(Exception):
    """A field asks for something that this studio does not do and that would change the picture."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} is not supported here: {why}")
        self.field = field


class UnknownScript(Exception):
    """A request names a script that is not here, or switches one on. `words` are A1111's, which clients look
    for."""

    def __init__(self, words: str, known: Sequence[str]) -> None:
        self.words = words
        super().__init__(f"{words}: here are {', '.join(known)}; switch it off, or leave it out")
