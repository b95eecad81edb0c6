"""Lengths of time and sizes as people write them: `15m`, `1h30m`, `90d`, `100GB`."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue as Json
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def seconds(value: Any) -> int:
    """Read a duration: `seconds("1h30m") == 5400`. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or not re.fullmatch(r"([0-9]{1,9}[smhdw])+", value):
        raise ValueError("is not a duration: write a number and a unit, such as 90s, 15m, 1h30m or 7d")
    parts = re.findall(r"([0-9]+)([smhdw])", value)
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
class Lasts:
    """Marks an `int` of seconds that is written as a duration between two others."""

    shortest: str
    longest: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(duration)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"type": "string", "pattern": "^([0-9]{1,9}[smhdw])+$"}

    def _read(self, value: Any) -> int:
        found = seconds(value)
        if not seconds(self.shortest) <= found <= seconds(self.longest):
            raise ValueError(f"must be between {self.shortest} and {self.longest}")
        return found


@dataclass(frozen=True)
class Weighs:
    """Marks an `int` of bytes that is written as a size between two others."""

    smallest: str
    largest: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(size)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"type": "string", "pattern": "^[0-9]{1,9}(MB|GB|TB|MiB|GiB|TiB)$"}

    def _read(self, value: Any) -> int:
        found = size_in_bytes(value)
        if not size_in_bytes(self.smallest) <= found <= size_in_bytes(self.largest):
            raise ValueError(f"must be between {self.smallest} and {self.largest}")
        return found
