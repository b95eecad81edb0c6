"""Kinds of fields, as liberal as A1111's: "512" is a number, 512.7 is 512, null is the default."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from easel.remark import remark

_MAX_BITS = 64
# Clients show and keep numbers; one of more digits than this is a mistake or an attack.
_MAX_DIGITS = 40


def _whole(value: object) -> object:
    """A1111 cuts decimals off where it wants a whole number."""
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError(remark("number_of_bits", "a number of {n} bits", n=value.bit_length()))
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _MAX_DIGITS:
            raise ValueError(remark("number_of_digits", "a number of {n} digits", n=len(value)))
    return value


def _text(value: object) -> object:
    """Halves of surrogate pairs can be written in JSON and nowhere else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
Text = Annotated[str, BeforeValidator(_text)]


class Liberal(BaseModel):
    """A request body: fields that are null count as not sent, fields that nobody knows are kept."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, values: Any) -> Any:
        if isinstance(values, dict):
            return {
                key: value
                for key, value in values.items()
                if value is not None or key not in cls.model_fields
            }
        return values
