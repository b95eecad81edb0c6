"""Lengths of time and sizes as people write them: `15m`, `1h30m`, `90d`, `100GB`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue as Json
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def seconds(value: Any) -> int:
    """Read a duration: `seconds("1h30m") == 5400`. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or not re.fullmatch(r"([0-9]{1,9}[smhdw])+", value):
        raise ValueError("is not a duration: write a number and a unit, such as 90s, 15m, 1h30m or 7d")
    parts = re.findall(r"([0-9]{1,9})([smhdw])", value)
    if len({unit for _, unit in parts}) != len(parts):
        raise ValueError("names a unit twice: write it once, such as 90s, 15m, 1h30m or 7d")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def duration(value: int) -> str:
    """Write seconds the short way: `duration(5400) == "1h30m"`."""
    text = ""
    for unit, length in _SECONDS.items():
        count, value = divmod(value, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def size_in_bytes(value: Any) -> int:
    """Read a size: `size_in_bytes("1GB") == 1_000_000_000`. Raises ValueError that says what is allowed."""
    found = re.fullmatch(r"([0-9]{1,9})(MB|GB|TB|MiB|GiB|TiB)", value) if isinstance(value, str) else None
    if not found:
        raise ValueError("is not a size: write a number and a unit, such as 500MB, 100GB or 2TB")
    return int(found[1]) * _BYTES[found[2]]


def size(value: int) -> str:
    """Write bytes the short way: `size(10**11) == "100GB"`."""
    for unit, length in sorted(_BYTES.items(), key=lambda item: -item[1]):
        if value and value % length == 0:
            return f"{value // length}{unit}"
    return f"{value / 10**6:.0f}MB"


@dataclass(frozen=True)
class _Quantity:
    """Marks an `int` that is written with its unit, between two others that are written so too."""

    least: str
    most: str
    reads: ClassVar[Callable[[Any], int]]
    writes: ClassVar[Callable[[int], str]]
    pattern: ClassVar[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(type(self).writes)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"type": "string", "pattern": self.pattern}

    def _read(self, value: Any) -> int:
        reads = type(self).reads
        found = reads(value)
        if not reads(self.least) <= found <= reads(self.most):
            raise ValueError(f"must be between {self.least} and {self.most}")
        return found


class Lasts(_Quantity):
    """Marks an `int` of seconds that is written as a duration."""

    reads, writes = seconds, duration
    pattern = "^([0-9]{1,9}[smhdw])+$"


class Weighs(_Quantity):
    """Marks an `int` of bytes that is written as a size."""

    reads, writes = size_in_bytes, size
    pattern = "^[0-9]{1,9}(MB|GB|TB|MiB|GiB|TiB)$"
