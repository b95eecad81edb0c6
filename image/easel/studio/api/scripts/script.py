"""What a script is: a title, arguments in order, and how it has requests drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course
from easel.studio.api.requests.script_argument import TABS, Argument
from easel.studio.engine import InvalidRequest


@dataclass(frozen=True)
class SelectableScript:
    """A script that a request names."""

    title: str
    arguments: tuple[Argument, ...]
    run: Callable[[DrawingRequest, list[Any], Ordering], Course]
    tabs: tuple[str, ...] = TABS

    @property
    def name(self) -> str:
        """What A1111 lists it as."""
        return self.title.lower()

    def understood(self, sent: Sequence[Any]) -> list[Any]:
        """The arguments in order, defaults for those that are not sent. Raises InvalidRequest."""
        if len(sent) > len(self.arguments):
            labels = ", ".join(one.label for one in self.arguments)
            raise InvalidRequest(
                "script_args",
                remark("counted_arguments", "{n} arguments", n=len(sent)),
                f"{len(self.arguments)}: {labels}",
            )
        values = [*sent, *[None] * (len(self.arguments) - len(sent))]
        return [one.understood(value) for one, value in zip(self.arguments, values, strict=True)]
