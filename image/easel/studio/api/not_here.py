"""A1111's routes for what is not done here: training."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES, ErrorBody, body
from easel.studio.api.strict_json import reply

_WORDS = (
    "nothing is trained here: train it with a program made for it (kohya's sd-scripts, OneTrainer), add the "
    "file on the page (Models) or by `easel models add`, and draw with it"
)
_NOT_DONE: dict[int | str, dict[str, Any]] = {status: RESPONSES[status] for status in (400, 413, 422)}


def not_here() -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sdapi/v1")
    for path, what in _TRAINS.items():
        routes.add_api_route(
            path, _refusal(f"Refused with 501: {what}, and nothing is trained here."), methods=["POST"],
            name=path, status_code=501, response_model=ErrorBody, responses=_NOT_DONE,
        )  # fmt: skip
    return routes


_TRAINS = {
    "/create/embedding": "it would begin an embedding",
    "/create/hypernetwork": "it would begin a hypernetwork",
    "/train/embedding": "it would train an embedding",
    "/train/hypernetwork": "it would train a hypernetwork",
}


def _refusal(words: str) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def refuse(values: Annotated[dict[str, Any], Body(description="A1111's arguments")]) -> Response:
        return reply(body("NotImplementedError", _WORDS, _WORDS), 501)

    refuse.__doc__ = words
    return refuse
