"""`/docs`: the OpenAPI description as one page, with nothing loaded from anywhere else."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_FILES = "multipart/form-data"


def page(openapi: dict[str, Any]) -> str:
    """The whole page for an OpenAPI description."""
    parts = [
        _route(openapi, path, method, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    info = openapi["info"]
    style, script = ((_HERE / name).read_text() for name in ("reference.css", "reference.js"))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Easel API</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{style}</style><h1>Easel API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>. For people: <a href="./">the page</a>.</p>'
        + "".join(parts)
        + f"<script>{script}</script></html>"
    )


def _route(openapi: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    schema = _schema(openapi, operation.get("requestBody"))
    words = operation.get("description", "")
    answer = _schema(openapi, operation["responses"].get("200"))
    example = ""
    if "requestBody" in operation:
        text = json.dumps(_example(path, schema), indent=2)
        example = (
            f'<p><label>Body<textarea name="body" spellcheck="false">{escape(text)}</textarea></label></p>'
        )
    # A form with files is for programs: what this page sends is JSON.
    form = (
        ""
        if _FILES in operation.get("requestBody", {}).get("content", {})
        else (
            f'<form data-path="{escape(path.lstrip("/"))}" data-method="{escape(method.upper())}">{example}'
            '<button>Send</button><pre aria-live="polite"></pre></form>'
        )
    )
    short = words.partition(". ")[0].removesuffix(".")
    return (
        f'<details><summary><b class="{escape(method)}">{escape(method.upper())}</b>'
        f"<code>{escape(path)}</code>"
        f"<span>{escape(short)}</span></summary><p>{escape(words)}</p>"
        f"{_fields('Request', schema)}{_fields('Answer', answer)}{form}</details>"
    )


def _schema(openapi: dict[str, Any], holder: dict[str, Any] | None) -> dict[str, Any]:
    content = (holder or {}).get("content", {})
    schema = content.get("application/json", content.get(_FILES, {})).get("schema", {})
    schema = schema.get("items", schema)
    name = schema.get("$ref", "").rpartition("/")[2]
    found = openapi.get("components", {}).get("schemas", {}).get(name, schema)
    return found if isinstance(found, dict) else {}


def _fields(title: str, schema: dict[str, Any]) -> str:
    fields = schema.get("properties", {})
    if not fields:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(one))}</td>"
        f"<td><code>{escape(json.dumps(one['default'])) if 'default' in one else ''}</code></td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for name, one in fields.items()
    )
    return (
        f'<div class="wide"><table><caption>{title}</caption>'
        f"<tr><th>field<th>kind<th>default<th></tr>{rows}</table></div>"
    )


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(one.get("type", "object") for one in field["anyOf"])
    return str(field.get("type", "object"))


def _example(path: str, schema: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/txt2img"):
        return {"prompt": "a red circle on blue", "steps": 20, "width": 128, "height": 128, "seed": 1}
    examples = schema.get("examples")
    if examples and isinstance(examples[0], dict):
        return dict(examples[0])
    return {name: one.get("default", "") for name, one in schema.get("properties", {}).items()}
