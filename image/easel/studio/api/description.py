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
# In every answer, whatever it is.
_HEADERS = {
    "X-Request-Id": "The request's name in every log that it came by: the caller's own where it sent a sane "
    "one (letters, digits, `._:-`, up to 128), else a new one",
    "X-Process-Time": "Seconds until the answer began",
}
# By the beginning of a path; the first that fits counts.
_TAGS = (
    ("/sdapi/v1/txt2img", "Draw"), ("/sdapi/v1/img2img", "Draw"), ("/sdapi/v1/extra-", "Draw"),
    ("/sdapi/v1/progress", "Progress"), ("/sdapi/v1/interrupt", "Progress"), ("/sdapi/v1/skip", "Progress"),
    ("/internal/progress", "Progress"), ("/internal/pending-tasks", "Progress"), ("/v1/", "OpenAI"),
    ("/controlnet/", "ControlNet"), ("/studio/models/", "Models"), ("/metrics", "Operation"),
    ("/jobs", "Progress"), ("/studio/events", "Progress"), ("/studio/gallery", "Gallery"),
    ("/studio/boards", "Gallery"), ("/studio/shares", "Gallery"), ("/studio/memory", "Operation"),
    ("/studio/", "What there is"), ("/config", "What there is"),
    ("/internal/", "Operation"), ("/sdapi/v1/memory", "Operation"), ("/sdapi/v1/cmd-flags", "Operation"),
    ("/sdapi/v1/create/", "Not here"), ("/sdapi/v1/train/", "Not here"),
    ("/sdapi/v1/interrogate", "Draw"), ("/sd_extra_networks/", "What there is"),
    ("/sdapi/v1/", "What there is"),
)  # fmt: skip
_TOLD = {
    "Draw": "Pictures from words and from pictures, and words from those; each request is a job in its "
    "caller's share.",
    "Progress": "How far the caller's jobs are, and their end.",
    "What there is": "Checkpoints, LoRAs, samplers, options, styles: what a request may name.",
    "ControlNet": "As A1111's extension has it.",
    "OpenAI": "As OpenAI's clients ask; errors have OpenAI's shape.",
    "Models": "What is in the store, and how it gets there.",
    "Gallery": "The caller's own pictures: found, starred, gathered on boards, shared, deleted.",
    "Operation": "For who runs the endpoint.",
    "Not here": "Routes of A1111's that answer 501.",
}


class DescribedApi(FastAPI):
    """An application whose description says what its error handlers answer."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for path, operations in schema["paths"].items():
                for method, operation in operations.items():
                    _describe_refusal(path, operation["responses"])
                    _describe_everywhere(path, method, operation)
            schema["tags"] = [{"name": name, "description": words} for name, words in _TOLD.items()]
            schema["components"]["headers"] = {
                name: {"description": words, "schema": {"type": "string"}, "required": True}
                for name, words in _HEADERS.items()
            }
            for name in _ITS_OWN:
                schema["components"]["schemas"].pop(name, None)
        return self.openapi_schema or {}


def operation_id(route: APIRoute) -> str:
    """A name for an operation, by its path and method: `txt2img_post`, `v1_images_generations_post`."""
    words = re.findall(r"[a-z0-9]+", route.path.removeprefix("/sdapi/v1").lower())
    return "_".join([*words, *(method.lower() for method in sorted(route.methods or ()))])


def _describe_everywhere(path: str, method: str, operation: dict[str, Any]) -> None:
    """What holds for every operation: summary, tag, headers, and what is answered before a route."""
    words = operation["description"].partition("\n")[0]
    operation["summary"] = re.split(r"(?<=\S)[.:;] ", words)[0].rstrip(".")
    operation["tags"] = [next(tag for beginning, tag in _TAGS if path.startswith(beginning))]
    responses = operation["responses"]
    if not path.startswith(_OPENAI):
        responses.setdefault("503", _refusal("The studio starts or ends, or has no checkpoint: try again"))
        if method != "get":
            responses.setdefault("413", _refusal("The body is larger than the server takes"))
        if "requestBody" in operation:
            responses.setdefault("400", _refusal("The body cannot be read"))
    for answer in responses.values():
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def _refusal(words: str) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": _ERROR}}}


def _describe_refusal(path: str, responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {}).get("application/json", {})
    if not content.get("schema", {}).get("$ref", "").endswith(_ITS_OWN):
        return
    if path.startswith(_OPENAI):
        del responses["422"]  # 400 there
        return
    content["schema"] = _ERROR
    responses["422"]["description"] = "A parameter is of the wrong kind or out of range"
