"""AWS's own service model, taken at its word: enums, lengths, numbers and patterns of every request.

botocore checks types, required fields and minima before it sends a request. moto hardly checks what is left,
so that a wrong enum would first be seen on AWS. Here every parameter is held against its shape in the model.
"""

import re
from collections.abc import Iterator
from typing import Any


class Refused(AssertionError):
    """AWS's service model does not allow a request."""


def strict(client: Any) -> Any:
    """A boto3 client that sends nothing that its service model does not allow. Raises Refused."""

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.input_shape is not None:
            wrong = list(faults(params, model.input_shape))
            if wrong:
                raise Refused(f"{model.service_model.service_name}.{model.name}: {'; '.join(wrong)}")

    client.meta.events.register("before-parameter-build.*.*", check)
    return client


def faults(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What of a value its shape does not allow, each with the way to it."""
    match shape.type_name:
        case "structure":
            for key, part in value.items():
                if key in shape.members:  # botocore itself tells of the others
                    yield from faults(part, shape.members[key], f"{path}.{key}")
        case "list":
            yield from _within(len(value), shape, path, "entries")
            for index, part in enumerate(value):
                yield from faults(part, shape.member, f"{path}[{index}]")
        case "map":
            yield from _within(len(value), shape, path, "entries")
            for key, part in value.items():
                yield from faults(key, shape.key, f"{path}.{key}!")
                yield from faults(part, shape.value, f"{path}.{key}")
        case "string":
            yield from _text(value, shape, path)
        case "integer" | "long" | "float" | "double":
            yield from _within(value, shape, path, "")
        case _:
            return


def _text(value: str, shape: Any, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    yield from _within(len(value), shape, path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern:
        try:
            fits = re.search(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s"), value)
        except re.error:
            return  # a pattern in the words of Java
        if not fits:
            yield f"{path}: {value!r} does not fit {pattern}"


def _within(number: float, shape: Any, path: str, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and number < low) or (high is not None and number > high):
        yield f"{path}: {number} {what} and not {low} to {high}".replace("  ", " ")
