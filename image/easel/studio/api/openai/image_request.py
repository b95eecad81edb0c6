"""What OpenAI's clients ask of a picture, and what A1111's request for it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from easel.studio.api.requests.drawing_request import AnyRequest
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.checkpoint_defaults import checkpoint_defaults
from easel.studio.engine import InvalidRequest
from easel.studio.studio import Studio

# OpenAI's own models. Programs name one where they let nobody choose.
_THEIRS = ("dall-e", "gpt-image", "chatgpt-image")
_MAX_STEPS = 150
_SIZE = re.compile(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", re.IGNORECASE)
# How many steps, of as many as are the checkpoint's own.
_STEPS = {"low": 0.5, "high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": 3.0}
_ANY_SIZE = "auto, or WIDTHxHEIGHT in pixels such as 1024x1024"
_CHANGES_NOTHING = {
    "style": "say it in the prompt",
    "moderation": "nothing is moderated here",
    "complexity": "nothing is planned here before it is drawn",
}


class ImageRequest(Liberal):
    """Draw pictures from words. Fields that OpenAI has not are A1111's, by the rules of /sdapi/v1/txt2img."""

    prompt: Text = Field(description="words, embeddings' names and `<lora:name:weight>`")
    model: Text | None = Field(
        None, description="a checkpoint by any of its names; one of OpenAI's own is the caller's own choice"
    )
    n: WholeNumber = Field(1, ge=1, le=10, description="how many pictures")
    size: Text = Field("auto", description=_ANY_SIZE + "; auto is the checkpoint's own")
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] = Field(
        "auto",
        description="how many steps of the checkpoint's own: low half, high and hd 1.5, xhigh 2, max 3 times",
    )
    response_format: Literal["url", "b64_json"] | None = Field(
        None, description="url keeps the picture among the caller's own; b64_json if not said, url for dall-e"
    )
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: WholeNumber = Field(100, ge=0, le=100, description="quality of a jpeg or webp")
    background: Literal["auto", "opaque", "transparent"] = Field(
        "auto", description="transparent is refused: pictures are opaque"
    )
    stream: bool = Field(False, description="true is refused: pictures come in one answer")
    partial_images: WholeNumber = Field(0, description="0 alone")
    style: Text | None = Field(None, description="taken and told, as moderation and complexity")
    moderation: Text | None = None
    complexity: Text | None = None
    user: Text | None = Field(None, description="taken; nothing is kept of it")
    safety_identifier: Text | None = None

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint that is asked for by name, None for the caller's own."""
        return None if not self.model or self.model.lower().startswith(_THEIRS) else self.model

    @property
    def by_address(self) -> bool:
        """Whether addresses of the pictures are asked for, and not the pictures."""
        if self.response_format is not None:
            return self.response_format == "url"
        return bool(self.model and self.model.lower().startswith("dall-e"))

    def pixels(self) -> dict[str, int]:
        """Width and height where they are said. Raises InvalidRequest."""
        if self.size.strip().lower() in ("auto", ""):
            return {}
        found = _SIZE.fullmatch(self.size.strip())
        if not found:
            raise InvalidRequest("size", self.size, _ANY_SIZE)
        return {"width": int(found[1]), "height": int(found[2])}

    def steps(self, studio: Studio, owner: str) -> dict[str, int]:
        """How many where `quality` says so, and `steps` of A1111's does not. Raises UnknownModel and
        NoCheckpoint."""
        factor = _STEPS.get(self.quality)
        if factor is None or "steps" in (self.model_extra or {}):
            return {}
        name = self.checkpoint
        file = studio.checkpoint_for(name) if name else studio.checkpoint(owner)
        return {"steps": min(_MAX_STEPS, max(1, round(checkpoint_defaults(file).steps * factor)))}

    def check(self) -> None:
        """Raises Unsupported for what would be another answer than is given here."""
        if self.stream or self.partial_images:
            field = "stream" if self.stream else "partial_images"
            raise Unsupported(field, "pictures come in one answer, when all are drawn; leave it out")
        if self.background == "transparent":
            raise Unsupported("background", "pictures are opaque; leave it out")
        if self.output_format == "png" and self.output_compression != 100:
            raise Unsupported("output_compression", "a png loses nothing; ask for jpeg or webp")

    def passed_over(self) -> Iterator[str]:
        """Sentences on what the request says and nothing here does."""
        for name, why in _CHANGES_NOTHING.items():
            if getattr(self, name) is not None:
                yield f"{name} was not followed: {why}."

    def a1111(self, kind: type[AnyRequest], **fields: Any) -> AnyRequest:
        """The request as A1111's of this `kind`, with these `fields` of it.

        Raises RequestValidationError for a field of A1111's own that cannot be.
        """
        said = dict(self.model_extra or {})
        overrides = said.pop("override_settings", None)
        settings: dict[str, Any] = {
            **(overrides if isinstance(overrides, dict) else {}),
            "samples_format": self.output_format,
            "jpeg_quality": max(1, self.output_compression),
        }
        if self.checkpoint:
            settings["sd_model_checkpoint"] = self.checkpoint
        try:
            return kind(
                **{**said, **fields, "prompt": self.prompt, "n_iter": self.n, "override_settings": settings}
            )
        except ValidationError as e:
            raise as_refusal(e) from e


def as_refusal(e: ValidationError) -> RequestValidationError:
    """Faults of a body that was put together by hand, as of one that FastAPI read."""
    faults = [
        {"type": one["type"], "loc": ("body", *one["loc"]), "msg": one["msg"], "input": one["input"]}
        for one in e.errors(include_url=False, include_context=False)
    ]
    return RequestValidationError(faults)
