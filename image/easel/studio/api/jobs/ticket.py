"""A job as its owner sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from easel.studio.api.jobs.async_job import AsyncJob
from easel.studio.api.jobs.record import AcceptedRequest, TicketError
from easel.studio.api.jobs.webhook import WebhookDelivery
from easel.studio.coded_text import CodedText, coded
from easel.studio.engine import FINAL, Job, JobState, PersonsWork, ahead_of, time_for
from easel.studio.gallery_picture import GalleryPicture

_PROMPT = 300
State = Literal["queued", "loading", "drawing", "saving", "done", "failed", "cancelled"]


class TicketAhead(BaseModel):
    """What is drawn before it."""

    pictures: int = 0
    people: int = Field(0, description="other people whose pictures are among them")


class Ticket(BaseModel):
    """One asynchronous request, and how it goes."""

    id: str
    kind: Literal["txt2img", "img2img", "extras"]
    state: State
    made_at: str = Field(description="when it was accepted, ISO 8601 in UTC")
    place: int = Field(0, description="among the caller's own that have not begun: 1 is next; 0 once it has")
    ahead: TicketAhead = TicketAhead()
    starts_in: float | None = Field(None, description="seconds; null while nothing is known of it")
    fraction: float = Field(0.0, description="0 to 1")
    step: int = 0
    steps: int = 0
    picture: int = Field(0, description="the number of the one under way, from 1")
    pictures: int = 0
    eta: float | None = Field(None, description="seconds until all of it is there")
    preview: str | None = Field(None, description="a data: URI, in events only")
    width: int = 0
    height: int = 0
    prompt: str = ""
    request: dict[str, Any] = Field({}, description="A1111's body without pictures")
    comments: list[str] = Field([], description="as in A1111's answer; `remarks` say the same by codes")
    remarks: list[CodedText] = []
    error: TicketError | None = None
    results: list[GalleryPicture] = []
    webhook: WebhookDelivery | None = Field(None, description="who is told of its end, and how far that is")


@dataclass(frozen=True)
class Company:
    """What a person's jobs wait beside: each other person's work."""

    others: Sequence[PersonsWork]


PictureOf = Callable[[str], GalleryPicture | None]


def ended_ticket(record: AcceptedRequest, picture_of: PictureOf) -> Ticket:
    """The ticket of a job that is finished."""
    return _ticket(
        record,
        state=record.state or "failed",
        fraction=1.0 if record.state == "done" else 0.0,
        step=record.steps if record.state == "done" else 0,
        picture=len(record.done),
        remarks=record.remarks,
        error=record.error,
        results=_results(record, picture_of),
    )


def elsewhere_ticket(record: AcceptedRequest, picture_of: PictureOf) -> Ticket:
    """The ticket of a job that another process draws."""
    return _ticket(
        record, state="drawing" if record.begun else "queued", results=_results(record, picture_of)
    )


def open_tickets(jobs: Sequence[AsyncJob], company: Company, picture_of: PictureOf) -> list[Ticket]:
    """The tickets of all that one person has under way or waiting, in their order."""
    found: list[Ticket] = []
    begun = [(seconds, job.units_left()) for job in jobs if job.begun if (seconds := job.work_left())]
    waited: float | None = 0.0
    units, pictures, place = 0.0, 0, 0
    for job in jobs:
        left = job.work_left()
        if job.begun:
            # Those that have begun are drawn side by side.
            beside = [(min(1.0, (left or 0.0) / seconds), seconds, units) for seconds, units in begun]
            before = None if left is None else PersonsWork(
                sum(share * seconds for share, seconds, _ in beside) - left, pictures,
                sum(share * units for share, _, units in beside) - job.units_left(),
            )  # fmt: skip
        else:
            place += 1
            before = None if waited is None else PersonsWork(waited, pictures, units)
        found.append(_open(job, 0 if job.begun else place, before, left, company, picture_of))
        waited = None if waited is None or left is None else waited + left
        units += job.units_left()
        pictures += job.pictures_left
    return found


def _open(
    job: AsyncJob,
    place: int,
    before: PersonsWork | None,
    left: float | None,
    company: Company,
    picture_of: PictureOf,
) -> Ticket:
    now = _Now(job.jobs)
    known = before is not None and left is not None
    switch = job.switch()
    eta = now.eta
    if before and left is not None:
        eta = time_for(before.seconds + left, company.others, before.units + job.units_left()) + switch
    waiting = before is not None and not job.begun
    ahead = ahead_of(before, company.others) if waiting and before else None
    return _ticket(
        job.record,
        state=_state(job, now),
        place=place,
        ahead=TicketAhead(pictures=ahead.pictures, people=ahead.people) if ahead else TicketAhead(),
        starts_in=round(time_for(before.seconds, company.others, before.units) + switch, 1)
        if waiting and before and known
        else None,
        fraction=_fraction(job, now),
        step=now.step,
        steps=now.steps or job.record.steps,
        picture=min(len(job.record.done) + 1, max(1, job.record.pictures)) if job.begun else 0,
        eta=round(eta, 1) if eta is not None else None,
        remarks=coded(job.notes, job.record.remarks),
        results=_results(job.record, picture_of),
    )


class _Now:
    """A look at the jobs of one request."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        looks = [job.progress() for job in jobs]
        current = next((one for one in looks if one.state not in FINAL), None)
        self.states = {one.state for one in looks}
        self.step = current.step if current else 0
        self.steps = current.steps if current else 0
        self.eta = current.eta if current and len(jobs) == 1 else None
        self.done = sum(
            len(job.wanted) if one.state in FINAL else one.fraction * len(job.wanted)
            for job, one in zip(jobs, looks, strict=True)
        )
        self.wanted = sum(len(job.wanted) for job in jobs)


def _state(job: AsyncJob, now: _Now) -> State:
    if job.saving:
        return "saving"
    if now.states & {JobState.RUNNING, *FINAL}:
        return "drawing"
    return "loading" if JobState.LOADING in now.states else "queued"


def _fraction(job: AsyncJob, now: _Now) -> float:
    """Of its pictures: those of an earlier life are done, and what a script asks for later is not."""
    pictures = job.record.pictures
    if not pictures:
        return 0.0
    earlier = max(0, sum(one.request.pictures for one in job.jobs) - now.wanted)
    return min(1.0, round((earlier + now.done) / max(pictures, earlier + now.wanted), 4))


def _ticket(record: AcceptedRequest, **said: Any) -> Ticket:
    kind: Any = record.kind if record.kind in ("txt2img", "img2img") else "extras"
    return Ticket(
        id=record.id,
        kind=kind,
        made_at=datetime.fromtimestamp(record.at, UTC).isoformat(),
        pictures=record.pictures,
        width=record.width,
        height=record.height,
        prompt=str(record.shown.get("prompt") or "")[:_PROMPT],
        request=record.shown,
        webhook=record.webhook,
        comments=[one.text for one in said.get("remarks", ())],
        **{"steps": record.steps, **said},
    )


def _results(record: AcceptedRequest, picture_of: PictureOf) -> list[GalleryPicture]:
    return [one for id in record.results if (one := picture_of(id))]
