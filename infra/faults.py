"""What is wrong with a spec, told so that it can be put right: file, line, path, value, what is allowed."""

import difflib
import json
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

Where = tuple[str | int, ...]
"""The way to a value: `("easel:endpoints", "studio", "replicas", "max")`."""

_HIDDEN = ("env", "secrets")


@dataclass(frozen=True)
class SpecFault:
    """One thing that is wrong."""

    where: Where
    problem: str
    involves: frozenset[str] = frozenset()
    """Other fields the rule looked at. Where one of them is faulty itself, this fault may be none."""

    @property
    def path(self) -> str:
        """The way as it is written: `easel:endpoints.studio.models[0]`."""
        text = ""
        for part in self.where:
            text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{_printable(part)}"
        return text


class SpecError(Exception):
    """A spec that cannot work, with every fault in it, one a line."""

    def __init__(
        self, source: str, faults: Sequence[SpecFault], lines: dict[Where, int] | None = None
    ) -> None:
        self.source = source
        lines = lines or {}
        self.faults = tuple(sorted(faults, key=lambda fault: _line(fault.where, lines)))
        super().__init__("\n".join(self._told(fault, lines) for fault in self.faults))

    def _told(self, fault: SpecFault, lines: dict[Where, int]) -> str:
        line = _line(fault.where, lines)
        place = f"{self.source}:{line}" if line else self.source
        return ": ".join(part for part in (place, fault.path, fault.problem) if part)


def _line(where: Where, lines: dict[Where, int]) -> int:
    # The nearest place above a missing field is where it would be written.
    ways = (where[:length] for length in range(len(where), -1, -1))
    return next((lines[way] for way in ways if way in lines), 0)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean x?` for the nearest right spelling, or nothing.

    The same letters in another order are nearest of all: us-esat-1 is us-east-1, not us-west-1.
    """
    meant = word.lower()

    def likeness(other: str) -> float:
        return (sorted(meant) == sorted(other)) + difflib.SequenceMatcher(None, other, meant).ratio()

    best = max(sorted(allowed), key=likeness, default="")
    return f"; did you mean {best}?" if best and likeness(best) >= 0.6 else ""


def shown(value: Any) -> str:
    """A value as a fault quotes it: on one line, not too long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return _printable(text if len(text) <= 80 else text[:77] + "…")


def fault(error: ErrorDetails, model: type[BaseModel], above: Where = ()) -> SpecFault:
    """Say what one of pydantic's errors means in the words of the spec."""
    way = error["loc"]
    if len(way) > 1 and way[-1] == "[key]":
        way = way[:-1]  # it is the name of an entry that is wrong, not its value
    where = (*above, *way)
    value = error["input"]
    kind, context = error["type"], error.get("ctx", {})
    section = _section(model, way[:-1])
    field = section.model_fields.get(str(way[-1])) if section and way else None
    meant = (field.description or "").rstrip(".") if field else ""
    quoted = "the value" if any(part in _HIDDEN for part in way) else shown(value)
    match kind:
        case "extra_forbidden":
            names = list(section.model_fields) if section else []
            near = nearest(str(way[-1]), names)
            return SpecFault(where, f"is not a field{near or '.'} The fields here are {', '.join(names)}")
        case "missing":
            return SpecFault(where, f"is missing: {meant}")
        case "literal_error":
            choices = [str(choice) for choice in get_args(field.annotation)] if field else []
            near = nearest(str(value), choices)
            return SpecFault(where, f"{quoted} is not allowed{near or '.'} Allowed are {', '.join(choices)}")
        case "value_error":
            return SpecFault(where, f"{quoted} {context['error']}")
        case "string_pattern_mismatch" if meant:
            return SpecFault(where, f"{quoted} does not fit. {meant}")
        case _:
            return SpecFault(where, f"{quoted} {_wants(kind, context) or error['msg']}")


def _wants(kind: str, context: dict[str, Any]) -> str:
    plain = {
        "bool_type": "must be true or false",
        "dict_type": "must be a mapping of names to values",
        "int_from_float": "must be a whole number",
        "int_type": "must be a whole number",
        "list_type": "must be a list",
        "model_type": "must be a mapping of fields to values",
        "string_pattern_mismatch": "must be letters, digits and underscores, not beginning with a digit",
        "string_type": "must be text (in quotes, if it looks like a number)",
    }
    limits = {
        "greater_than_equal": ("ge", "must be at least {}"),
        "less_than_equal": ("le", "must be at most {}"),
        "string_too_long": ("max_length", "must have at most {} characters"),
        "string_too_short": ("min_length", "must have at least {} characters"),
        "too_long": ("max_length", "must have at most {} entries"),
        "too_short": ("min_length", "must have at least {} entries"),
    }
    if kind in limits:
        key, text = limits[kind]
        return text.format(context[key])
    return plain.get(kind, "")


def _section(model: type[BaseModel], way: Sequence[str | int]) -> type[BaseModel] | None:
    """The part of the spec that `way` leads to, so that its field names can be told."""
    found: Any = model
    for part in way:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(part))
            found = field.annotation if field else None
        elif get_origin(found) in (dict, list):
            found = get_args(found)[-1]
        found = _bare(found)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return next((_bare(arm) for arm in get_args(annotation) if arm is not type(None)), None)
    return annotation


def _printable(text: str) -> str:
    """No control characters: a fault is printed to a terminal, a line each."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
