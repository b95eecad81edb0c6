"""What the page's fields say, as a request."""

from __future__ import annotations

from dataclasses import dataclass, fields

from easel.studio.engine import InvalidRequest, TextToImage

_NAMES = {
    "cfg_scale": "CFG scale",
    "batch_count": "Batch count",
    "batch_size": "Batch size",
    "n_iter": "Batch count",
    "sampler_name": "Sampler",
    "negative_prompt": "Negative prompt",
}


@dataclass(frozen=True)
class Form:
    """The fields as they come from the browser, in its order: numbers may be empty or have decimals."""

    prompt: str | None
    negative_prompt: str | None
    sampler: str
    schedule_type: str
    steps: float | None
    cfg_scale: float | None
    width: float | None
    height: float | None
    batch_count: float | None
    batch_size: float | None
    seed: float | None

    def request(self, checkpoint: str | None, vae: str | None = None) -> TextToImage:
        """The request, as far as the page has fields. Raises InvalidRequest for a number that is missing."""
        return TextToImage(
            prompt=self.prompt or "",
            negative_prompt=self.negative_prompt or "",
            sampler=self.sampler,
            schedule_type=self.schedule_type,
            steps=_whole("steps", self.steps),
            cfg_scale=_number("cfg_scale", self.cfg_scale),
            width=_whole("width", self.width),
            height=_whole("height", self.height),
            batch_count=_whole("batch_count", self.batch_count),
            batch_size=_whole("batch_size", self.batch_size),
            seed=-1 if self.seed is None else _whole("seed", self.seed),
            checkpoint=checkpoint,
            vae=vae,
        )


FIELDS = tuple(field.name for field in fields(Form))


def label(field: str) -> str:
    """How the page calls a field of the API."""
    return _NAMES.get(field, field.capitalize())


def _number(field: str, value: float | None) -> float:
    if value is None:
        raise InvalidRequest(field, "empty", "a number")
    return value


def _whole(field: str, value: float | None) -> int:
    return int(_number(field, value))
