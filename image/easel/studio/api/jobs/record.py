"""An asynchronous request on disk: small and written often; what it was accepted as lies beside it."""

from __future__ import annotations

import time
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from easel.studio.api.jobs.webhook import WebhookDelivery
from easel.studio.coded_text import CodedText
from easel.studio.durable_jobs import KEPT, JournalEntry

RESULT_KEPT = 3600.0
"""Seconds that the result of a finished job can be asked for."""

RequestKind = Literal["txt2img", "img2img", "extra-single-image", "extra-batch-images"]
Ending = Literal["done", "failed", "cancelled"]


class TicketError(BaseModel):
    """Why a job failed."""

    words: str
    code: str | None = Field(None, description="which sentence `words` is; null for one that has no code")
    values: dict[str, Any] = Field({}, description="what stands in its places")
    field: str | None = Field(None, description="the field of the request that it is about")
    kind: str = Field(
        description="over_quota, out_of_memory, too_large, cut_short, invalid, no_model, not_saved, stopped "
        "or failed"
    )

    @classmethod
    def of(cls, words: str, kind: str, field: str | None = None) -> Self:
        """With the code of words that have one."""
        said = CodedText.of(words)
        return cls(words=words, code=said.code, values=said.values, field=field or said.field, kind=kind)


class JobAnswer(BaseModel):
    """What the route would have answered, without the pictures: those are `images`, by their ids."""

    images: list[str]
    parameters: dict[str, Any] = {}
    info: dict[str, Any] = {}
    html_info: str = ""


class AcceptedRequest(JournalEntry):
    """One asynchronous request. `place` orders its owner's; `shown` is its body without pictures, and
    `checkpoints` the names of those that it begins with; `done` the
    ids of saved pictures by their number; `cancel` that it was ended by its owner, and whether what was half
    drawn is kept; `webhook` who is told of its end. The rest is of a finished one; `ended` in Unix
    seconds."""

    kind: RequestKind
    place: float
    shown: dict[str, Any] = Field(default_factory=dict)
    checkpoints: list[str] = Field(default_factory=list)
    width: int = 0
    height: int = 0
    pictures: int = 0
    steps: int = 0
    done: dict[int, str] = Field(default_factory=dict)
    cancel: Literal["", "keep", "drop"] = ""
    webhook: WebhookDelivery | None = None
    ended: float | None = None
    state: Ending | None = None
    remarks: list[CodedText] = Field(default_factory=list)
    error: TicketError | None = None
    answer: JobAnswer | None = None

    @property
    def unfinished(self) -> bool:
        """Whether there is anything to draw yet."""
        return self.ended is None

    @property
    def orphaned(self) -> bool:
        """Whether somebody must be told of its end yet, too."""
        return self.unfinished or (self.webhook is not None and self.webhook.state == "waiting")

    @property
    def outlived(self) -> bool:
        """Whether nobody can ask for it any more."""
        if self.ended is None:
            return False
        return time.time() - self.ended > (KEPT if self.told else RESULT_KEPT)

    @property
    def results(self) -> list[str]:
        """Ids of its pictures that are saved: in the answer's order, once there is one."""
        return self.answer.images if self.answer else [self.done[number] for number in sorted(self.done)]


class AcceptedBody(BaseModel):
    """What is drawn: A1111's body, the options of that time, and the salt that random seeds are drawn by."""

    body: dict[str, Any]
    options: dict[str, Any]
    salt: int
