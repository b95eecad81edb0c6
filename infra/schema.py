"""The schema that editors complete stack files with, and the reference of every field, from `infra.spec`."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from infra.names import ENDPOINT_LENGTH, LABEL_PATTERN, RESERVED
from infra.quantities import duration, size
from infra.shapes import PRICED, SHAPES
from infra.spec import EndpointSpec, TeamSpec


def stack_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a stack file."""
    _, definitions = models_json_schema([(TeamSpec, "validation"), (EndpointSpec, "validation")])
    sections: dict[str, Any] = definitions["$defs"]
    for section in sections.values():
        section.pop("title", None)
        for field in section["properties"].values():
            _tidy(field)
            # A field whose text equals its section's is left without one.
            if "$ref" in field:
                field.setdefault("description", sections[field["$ref"].rsplit("/", 1)[1]]["description"])
    shape = sections["EndpointSpec"]["properties"]["shape"]
    # Editors show a text per choice; `markdownEnumDescriptions` is what yaml-language-server reads.
    shape["markdownEnumDescriptions"] = [SHAPES[name].tooltip for name in shape["enum"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Easel stack",
        "description": "A team's stack file: stacks/Pulumi.<team>.yaml.",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": ["easel:endpoints"],
                "properties": {
                    "easel:team": {"$ref": "#/$defs/TeamSpec"},
                    "easel:endpoints": {
                        "description": "The team's endpoints by name.",
                        "type": "object",
                        "propertyNames": {
                            "pattern": LABEL_PATTERN,
                            "maxLength": ENDPOINT_LENGTH,
                            "not": {"enum": list(RESERVED)},
                        },
                        "additionalProperties": {"$ref": "#/$defs/EndpointSpec"},
                    },
                },
                "patternProperties": {"^easel:(?!(team|endpoints)$)": False},
            }
        },
        "$defs": dict(sorted(sections.items())),
    }


def schema_text() -> str:
    """The schema as its file holds it."""
    return json.dumps(stack_schema(), indent=1, ensure_ascii=False) + "\n"


def reference() -> str:
    """The reference of every field and shape, in Markdown."""
    return "\n".join(
        (
            "# Stack files",
            "",
            "<!-- Written by `easel schema` from infra/spec.py and infra/shapes.py. -->",
            "",
            "A stack is a team; its file is `stacks/Pulumi.<team>.yaml`. Lengths of time are written `90s`, "
            "`15m`, `1h30m`, `7d`; sizes `500MB`, `100GB`, `2TB`. `easel schema` writes the schema that "
            "editors complete these files with.",
            "",
            "## `easel:team`",
            "",
            *_table(TeamSpec),
            "",
            "## `easel:endpoints`",
            "",
            "A mapping of names to endpoints. A name is a DNS label of at most "
            f"{ENDPOINT_LENGTH} characters, and not {' or '.join(f'`{name}`' for name in RESERVED)}.",
            "",
            *_table(EndpointSpec),
            "",
            "## Shapes",
            "",
            f"Prices: on demand, Linux, us-east-1, {PRICED} or before.",
            "",
            "| shape | GPU | memory | holds | first instance type | $ an hour | then | was |",
            "|---|---|---|---|---|---|---|---|",
            *_shapes(),
            "",
        )
    )


def _tidy(field: dict[str, Any]) -> None:
    field.pop("title", None)
    pattern = str(field.get("pattern", ""))
    if isinstance(field.get("default"), int) and "[smhdw]" in pattern:
        field["default"] = duration(field["default"])
    if isinstance(field.get("default"), int) and "GB" in pattern:
        field["default"] = size(field["default"])


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| field | default | |"
    yield "|---|---|---|"
    yield from _rows(stack_schema()["$defs"], model.__name__, "")


def _rows(sections: dict[str, Any], name: str, above: str) -> Iterator[str]:
    for field, about in sections[name]["properties"].items():
        inner = _inner(about)
        default = "required" if field in sections[name].get("required", ()) else _default(about, inner)
        allowed = about.get("enum") or about.get("items", {}).get("enum")
        choices = f" One of {', '.join(f'`{choice}`' for choice in allowed)}." if allowed else ""
        text = about["description"].replace("<", "&lt;")
        yield f"| `{above}{field}` | {default} | {text}{choices} |"
        if inner:
            yield from _rows(sections, inner, f"{above}{field}{'[]' if 'items' in about else ''}.")


def _inner(about: dict[str, Any]) -> str | None:
    """The section that a field holds, alone, optionally or as a list."""
    arms = (about, about.get("items", {}), *about.get("anyOf", ()))
    return next((arm["$ref"].rsplit("/", 1)[1] for arm in arms if "$ref" in arm), None)


def _default(about: dict[str, Any], inner: str | None) -> str:
    default = about.get("default")
    if default is None:
        return "none"
    if inner or default in ({}, []):
        return "" if inner and default != [] else "empty"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _shapes() -> Iterator[str]:
    for shape in SHAPES.values():
        first, *others = (kind.name for kind in shape.instance_types)
        alone = f" (only by {shape.only_by})" if shape.only_by > 1 else ""
        gpu = f"{shape.gpu or 'none'}{alone} | {shape.memory:g} GiB | {', '.join(shape.holds)}"
        types = f"{first} | {shape.price:.2f} | {', '.join(others) or 'none'}"
        yield f"| `{shape.name}` | {gpu} | {types} | {shape.was} |"
