"""The OpenAPI description: names for generated clients, and errors in the shapes that they have."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

_OPENAI = "/v1/"
# What FastAPI takes for the body of its own refusals. Nothing here answers so.
_ITS_OWN = ("HTTPValidationError", "ValidationError")
_ERROR = {"$ref": "#/components/schemas/ErrorBody"}


class DescribedApi(FastAPI):
    """An application whose description says what its error handlers answer."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    _describe_refusal(path, operation["responses"])
            for name in _ITS_OWN:
                schema["components"]["schemas"].pop(name, None)
        return self.openapi_schema or {}


def operation_id(route: APIRoute) -> str:
    """A name for an operation, by its path and method: `txt2img_post`, `v1_images_generations_post`."""
    words = re.findall(r"[a-z0-9]+", route.path.removeprefix("/sdapi/v1").lower())
    return "_".join([*words, *(method.lower() for method in sorted(route.methods or ()))])


def _describe_refusal(path: str, responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {}).get("application/json", {})
    if not content.get("schema", {}).get("$ref", "").endswith(_ITS_OWN):
        return
    if path.startswith(_OPENAI):
        del responses["422"]  # 400 there
        return
    content["schema"] = _ERROR
    responses["422"]["description"] = "A parameter is of the wrong kind or out of range"
