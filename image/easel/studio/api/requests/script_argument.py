"""An argument of a script: its label, its default, and what may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from easel.studio import allowed
from easel.studio.engine import InvalidRequest, check_range

TABS = ("txt2img", "img2img")
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0", ""}


@dataclass(frozen=True)
class Argument:
    """One argument: A1111's label and default, the range of a number, the words there are to choose from.

    Its kind is that of its default: yes or no, a whole number, a number, or a text.
    """

    label: str
    value: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: Sequence[str] | None = None
    free: bool = False
    """Whether it may be of another kind as well; the script looks at it itself."""

    def understood(self, sent: Any) -> Any:
        """What was sent as the kind of value that this is; null is the default. Raises InvalidRequest."""
        if sent is None or self.free:
            return self.value if sent is None else sent
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
            raise InvalidRequest(self._field, sent, allowed.YES_OR_NO)
        return said in _YES

    def _number(self, sent: Any) -> float:
        kind = int if isinstance(self.value, int) else float
        try:
            number = kind(float(sent))
        except (TypeError, ValueError, OverflowError) as e:
            raise InvalidRequest(self._field, sent, allowed.NUMBER) from e
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


def script_arguments(title: str, script: Any) -> list[Any]:
    """What an always-on script of a request is sent. Raises InvalidRequest for what is no list."""
    found = script.get("args", []) if isinstance(script, dict) else script
    if not isinstance(found, list):
        raise InvalidRequest(f"alwayson_scripts.{title[:60]}", found, '{"args": [...]}')
    return found
