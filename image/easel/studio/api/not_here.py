"""A1111's routes for what is not done here: training, and putting pictures into words."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from pydantic import Field
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES, ErrorBody, body
from easel.studio.api.requests.fields import Liberal, Text
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.api.strict_json import reply

_TRAINING = (
    "nothing is trained here: train it with a program made for it (kohya's sd-scripts, OneTrainer), add the "
    "file by the page's Files tab or `easel models add`, and draw with it"
)
_WORDS = {
    "clip": "BLIP's and CLIP's weights",
    "deepdanbooru": "DeepDanbooru's weights",
}
_NOT_DONE: dict[int | str, dict[str, Any]] = {status: RESPONSES[status] for status in (400, 413, 422)}


class InterrogateRequest(Liberal):
    """Asks what is in a picture."""

    image: Text | None = Field(None, description="as base64, bare or as a data: URI")
    model: Text = Field("clip", description="clip or deepdanbooru")


def not_here() -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sdapi/v1")
    for path, what in _TRAINS.items():
        routes.add_api_route(
            path, _refusal(f"Refused with 501: {what}, and nothing is trained here."), methods=["POST"],
            name=path, status_code=501, response_model=ErrorBody, responses=_NOT_DONE,
        )  # fmt: skip

    @routes.post(
        "/interrogate",
        status_code=501,
        response_model=ErrorBody,
        responses={**_NOT_DONE, 404: {"model": ErrorBody, "description": "No picture, or no such model"}},
    )
    def interrogate(asked: InterrogateRequest) -> Response:
        """Refused with 501: the weights that put pictures into words are not here."""
        if asked.image is None:
            raise HTTPException(404, "Image not found")
        decoded(asked.image, "image")
        weights = _WORDS.get(asked.model.strip().lower())
        if weights is None:
            raise HTTPException(404, "Model not found")
        return _not_done(
            f"no picture is put into words here: it takes {weights}, which are not part of Easel. What a "
            "picture was drawn from stands in it: /sdapi/v1/png-info reads it"
        )

    return routes


_TRAINS = {
    "/create/embedding": "it would begin an embedding",
    "/create/hypernetwork": "it would begin a hypernetwork",
    "/train/embedding": "it would train an embedding",
    "/train/hypernetwork": "it would train a hypernetwork",
}


def _refusal(words: str) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def refuse(values: Annotated[dict[str, Any], Body(description="A1111's arguments")]) -> Response:
        return _not_done(_TRAINING)

    refuse.__doc__ = words
    return refuse


def _not_done(words: str) -> Response:
    return reply(body("NotImplementedError", words, words), 501)
