"""What a script is: a title, arguments in order, and how it has requests drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from easel.studio.api.drawing_request import DrawingRequest
from easel.studio.api.ordering import Ordering
from easel.studio.api.result import Course
from easel.studio.engine import InvalidRequest, check_range

TABS = ("txt2img", "img2img")
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0", ""}


@dataclass(frozen=True)
class Argument:
    """One argument: A1111's label and default, the range of a number, the words that there are to choose from.

    Its kind is that of its default: yes or no, a whole number, a number, or a text.
    """

    label: str
    value: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: Sequence[str] | None = None

    def understood(self, sent: Any) -> Any:
        """What was sent as the kind of value that this is; null is the default. Raises InvalidRequest."""
        if sent is None:
            return self.value
        if isinstance(self.value, bool):
            return self._yes(sent)
        if isinstance(self.value, int | float):
            return self._number(sent)
        if self.choices and isinstance(self.value, str):
            return self._word(sent)
        return sent

    @property
    def _field(self) -> str:
        return f"script_args.{self.label}"

    def _yes(self, sent: Any) -> bool:
        said = str(sent).strip().lower()
        if said not in _YES | _NO:
            raise InvalidRequest(self._field, sent, "true or false")
        return said in _YES

    def _number(self, sent: Any) -> float:
        kind = int if isinstance(self.value, int) else float
        try:
            number = kind(float(sent))
        except (TypeError, ValueError, OverflowError) as e:
            raise InvalidRequest(self._field, sent, "a number") from e
        if self.minimum is not None and self.maximum is not None:
            check_range(self._field, number, self.minimum, self.maximum)
        return number

    def _word(self, sent: Any) -> str:
        """One of the choices, by itself or by its number."""
        choices = list(self.choices or ())
        if isinstance(sent, int) and not isinstance(sent, bool) and 0 <= sent < len(choices):
            return choices[sent]
        if sent not in choices:
            raise InvalidRequest(self._field, sent, ", ".join(choices))
        return str(sent)

    def described(self) -> dict[str, Any]:
        """As `/sdapi/v1/script-info` shows it."""
        return {
            "label": self.label,
            "value": self.value,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "choices": list(self.choices) if self.choices else None,
        }


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
            raise InvalidRequest("script_args", f"{len(sent)} arguments", f"{len(self.arguments)}: {labels}")
        values = [*sent, *[None] * (len(self.arguments) - len(sent))]
        return [one.understood(value) for one, value in zip(self.arguments, values, strict=True)]
