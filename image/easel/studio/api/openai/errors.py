"""Errors as OpenAI words them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from easel.studio.api.errors import answer_to
from easel.studio.api.strict_json import reply

# What OpenAI calls the field that a fault is in.
_PARAMS = {
    "width": "size",
    "height": "size",
    "steps": "quality",
    "n_iter": "n",
    "batch_count": "n",
    "init_images": "image",
    "reference_images": "image",
    "sd_model_checkpoint": "model",
    "samples_format": "output_format",
    "jpeg_quality": "output_compression",
}
_UNKNOWN_MODEL = "UnknownModel"


class OpenAiFault(BaseModel):
    """What is wrong."""

    message: str = Field(description="what is wrong and what to do about it")
    type: str = Field(description="invalid_request_error, permission_error, rate_limit_error, server_error")
    param: str | None = Field(description="the field of the request that it is in, if it is in one")
    code: str | None = Field(description="model_not_found, rate_limit_exceeded, or null")


class OpenAiError(BaseModel):
    """What every 4xx and 5xx of `/v1` carries."""

    error: OpenAiFault


OPENAI_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {
        "model": OpenAiError,
        "description": "A field is of the wrong kind, out of range, or not done here",
    },
    403: {"model": OpenAiError, "description": "A page of another origin asks"},
    404: {"model": OpenAiError, "description": "No such model"},
    413: {"model": OpenAiError, "description": "The body is larger than the server takes"},
    429: {"model": OpenAiError, "description": "Too many of the caller's pictures are waiting"},
    503: {"model": OpenAiError, "description": "No checkpoint yet, or shutting down"},
    507: {
        "model": OpenAiError,
        "description": "There is no room to keep the picture that a URL would lead to",
    },
}


class OpenAiRoute(APIRoute):
    """A route whose errors have OpenAI's shape and status, however they are raised."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with all that it raises made into answers."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as e:  # what is no refusal is logged there, and a 500
                return reworded(await answer_to(request, e))

        return answered


def reworded(answer: Response) -> Response:
    """An answer with A1111's error body as OpenAI gives it. 422, which OpenAI does not use, is 400."""
    said = json.loads(bytes(answer.body))
    status = 400 if answer.status_code == 422 else answer.status_code
    code = "rate_limit_exceeded" if status == 429 else None
    if said["error"] == _UNKNOWN_MODEL:
        status, code = 404, "model_not_found"
    waits = {key: value for key, value in answer.headers.items() if key == "retry-after"}
    fault = {"message": said["errors"], "type": _kind(status), "param": _param(said["detail"]), "code": code}
    return reply({"error": fault}, status, waits)


def _kind(status: int) -> str:
    if status >= 500:
        return "server_error"
    return {403: "permission_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")


def _param(detail: Any) -> str | None:
    if not isinstance(detail, list) or not detail:
        return None
    where = [str(part) for part in detail[0].get("loc", ()) if part != "body"]
    if where[:1] == ["override_settings"]:
        del where[0]
    return _PARAMS.get(where[0], where[0]) if where else None
