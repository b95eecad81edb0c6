"""What is wrong with the kind of a field: pydantic's words, with codes, for a page in another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from easel.remark import Remark, remark, said_by

CODE = "fault_{}"
# pydantic's kinds of errors that bodies here can have, and what of their context stands in the sentence:
# https://docs.pydantic.dev/latest/errors/validation_errors/
KINDS: Mapping[str, Sequence[str]] = {
    "missing": (), "extra_forbidden": (), "value_error": ("error",), "finite_number": (),
    "int_parsing": (), "int_type": (), "int_from_float": (), "int_parsing_size": (),
    "float_parsing": (), "float_type": (), "bool_parsing": (), "bool_type": (),
    "string_type": (), "string_too_long": ("max_length",), "string_too_short": ("min_length",),
    "string_pattern_mismatch": ("pattern",), "list_type": (), "dict_type": (), "model_type": (),
    "model_attributes_type": (), "too_long": ("max_length",), "too_short": ("min_length",),
    "less_than_equal": ("le",), "greater_than_equal": ("ge",), "less_than": ("lt",), "greater_than": ("gt",),
    "literal_error": ("expected",), "enum": ("expected",), "json_invalid": (),
}  # fmt: skip
# More are found by whoever mends these.
_MOST = 10


def fault_words(fault: Mapping[str, Any]) -> str:
    """What pydantic says of one field. `fault` is one of `ValidationError.errors()`."""
    kind, words, context = str(fault["type"]), str(fault["msg"]), fault.get("ctx", {})
    if kind not in KINDS:
        return words
    return Remark(words, CODE.format(kind), {name: _value(name, context.get(name)) for name in KINDS[kind]})


def faults_words(faults: Sequence[Mapping[str, Any]]) -> str:
    """What it says of all fields of a body, one after another."""
    lines = [_line(one) for one in faults[:_MOST]]
    return reduce(lambda said, line: remark("and_then", "{said}; {line}", said=said, line=line), lines)


def _line(fault: Mapping[str, Any]) -> Remark:
    field = ".".join(map(str, fault["loc"][1:]))
    if not field:  # the body as a whole
        return remark("of_body", "{why}", why=fault_words(fault))
    return remark("of_part", "{what}: {why}", what=field, why=fault_words(fault))


def _value(name: str, value: object) -> object:
    if isinstance(value, BaseException):
        return said_by(value)
    # "'a', 'b' or 'c'"
    return str(value).replace(" or ", ", ") if name == "expected" else value
