"""All asynchronous requests of one process: accepted, drawn in their owners' order, kept until they are asked
for no more, and taken over from processes that died."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from easel.models import ModelError
from easel.studio.api.jobs.async_job import AsyncJob, Planned, plan
from easel.studio.api.jobs.failure import failure
from easel.studio.api.jobs.kept_pictures import KeptPictures
from easel.studio.api.jobs.record import (
    RESULT_KEPT,
    AcceptedBody,
    AcceptedRequest,
    Ending,
    JobAnswer,
    RequestKind,
    TicketError,
)
from easel.studio.api.jobs.ticket import Company, Ticket, elsewhere_ticket, ended_ticket, open_tickets
from easel.studio.api.jobs.waiting_times import PersonsWork
from easel.studio.durable_jobs import LOOK_EVERY, TAKEN, TOO_OLD, TRIES, JobNews, Journal
from easel.studio.engine import JobState, QueueFull, Stopped, chance, random_seed
from easel.studio.engine.limits import setting
from easel.studio.gallery_picture import GalleryPicture, picture_entry
from easel.studio.outputs import NotSaved
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

log = structlog.get_logger(__name__)

# Pictures of one person that the engine is given ahead: enough to fill a call, and what waits behind them may
# still be moved.
_WINDOW = 8
_LISTED = 20
_REMEMBERED_PICTURES = 2000


class NoSuchTicket(LookupError):
    """The caller has no job of that id."""


class AsyncJobs:
    """Used from the event loop only; what waits for a disk does so on threads. `changed` is told of each job
    that begins, is moved, or ends."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._journal: Journal[AcceptedRequest] = Journal(studio.outputs.folder / ".jobs", AcceptedRequest)
        # Encoding a large picture takes a second; the engine goes on meanwhile.
        self._savers = ThreadPoolExecutor(2, thread_name_prefix="keeping")
        self._open: dict[str, AsyncJob] = {}
        self._ended: dict[str, AcceptedRequest] = {}
        self._pictures: OrderedDict[str, GalleryPicture] = OrderedDict()
        self._looking: asyncio.Task[None] | None = None
        self._closing = False
        self.changed: Callable[[str], None] = lambda _owner: None

    async def start(self) -> None:
        """Take over what dead processes left, now and then from now on."""
        for record in await asyncio.to_thread(lambda: list(self._journal.entries())):
            if not record.unfinished:
                self._ended[record.id] = record
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self) -> None:
        """Save what is drawn. What was not drawn is the next process's. The engine has been stopped before,
        so that every job ends by itself."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
        tasks = [job.task for job in self._open.values() if job.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._journal.close)

    async def submit(self, owner: str, kind: RequestKind, body: dict[str, Any]) -> Ticket:
        """Accept a request. Raises what refuses it, QueueFull for one too many, and NotSaved where it cannot
        be written down."""
        if self._closing:
            raise Stopped("the studio is shutting down; send the request again in a moment")
        salt = random.SystemRandom().getrandbits(63)
        accepted, planned, notes, shown = await asyncio.to_thread(self._look_at, owner, kind, body, salt)
        now = time.time()
        record = AcceptedRequest(
            id=uuid.uuid4().hex, owner=owner, by=self._journal.process, at=now, place=now, kind=kind,
            shown=shown, comments=list(dict.fromkeys(notes)), **_sizes(planned),
        )  # fmt: skip
        record.pictures = record.pictures or len(accepted.body.get("imageList") or [0])
        self._see_that_it_fits(owner, record.pictures)
        job = self._job(record, planned)
        self._open[record.id] = job
        try:
            await asyncio.to_thread(self._write_down, record, accepted)
        except OSError as error:
            del self._open[record.id]
            raise NotSaved(f"the request could not be written down: {error.strerror or error}") from error
        self._dispatch(owner)
        return await self.ticket(owner, record.id)

    def running(self, owner: str) -> list[AsyncJob]:
        """What an owner has under way or waiting, in its order."""
        mine = [job for job in self._open.values() if job.record.owner == owner]
        return sorted(mine, key=lambda job: (not job.begun, job.record.place))

    def owners(self) -> set[str]:
        """Whose jobs are under way or waiting."""
        return {job.record.owner for job in self._open.values()}

    async def tickets(self, owner: str) -> list[Ticket]:
        """An owner's unfinished jobs in their order, then those that ended within the hour, newest first."""
        return await asyncio.to_thread(self.look, owner)

    def look(self, owner: str) -> list[Ticket]:
        """The same, on a thread that may wait for a disk."""
        self._forget()
        found = open_tickets(self.running(owner), self._company(owner), self._picture_of(owner))
        ended = [record for record in list(self._ended.values()) if record.owner == owner]
        ended.sort(key=lambda record: record.ended or 0.0, reverse=True)
        return [*found, *(ended_ticket(one, self._picture_of(owner)) for one in ended[:_LISTED])]

    def preview(self, owner: str, id: str) -> Image | None:
        """How a picture of one of them looks now; None while there is nothing to see. Asking makes the engine
        draw a look in the next second."""
        job = self._open.get(id)
        if job is None or job.record.owner != owner:
            return None
        current = next((one for one in job.jobs if one.state is JobState.RUNNING), None)
        return current.progress(preview=True).preview if current else None

    async def ticket(self, owner: str, id: str) -> Ticket:
        """One of them. Raises NoSuchTicket."""
        return await asyncio.to_thread(self._ticket, owner, id)

    async def record(self, owner: str, id: str) -> AcceptedRequest:
        """What is kept of one of them. Raises NoSuchTicket."""
        return await asyncio.to_thread(self._record, owner, id)

    async def cancel(self, owner: str, id: str, *, keep: bool) -> Ticket:
        """End one of them; what is saved stays, and with `keep` what is half drawn is saved too. Raises
        NoSuchTicket."""
        job = self._open.get(id)
        if job is None or job.record.owner != owner:
            return await self.ticket(owner, id)

        def note(record: AcceptedRequest) -> None:
            record.cancel = "keep" if keep else "drop"

        await asyncio.to_thread(job.pictures.write, note)
        task = job.task
        if not job.cancel(keep_partial=keep):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            if id in self._open:
                await self._end(job, "cancelled")
        elif task is not None:
            await asyncio.wait([task], timeout=2)
        return await self.ticket(owner, id)

    async def interrupt(self, owner: str) -> None:
        """End all of an owner's, and keep what is there."""
        for job in self.running(owner):
            await self.cancel(owner, job.record.id, keep=True)

    async def move(self, owner: str, id: str, before: str | None) -> list[Ticket]:
        """Draw one that has not begun before another one of the same owner, or last. Raises NoSuchTicket."""
        mine = self.running(owner)
        moved = next((job for job in mine if job.record.id == id), None)
        rest = [job for job in mine if job is not moved]
        place = next((n for n, job in enumerate(rest) if job.record.id == before), None)
        if moved is None or (before is not None and place is None):
            raise NoSuchTicket(id if moved is None else before)
        if not moved.begun:
            rest.insert(len(rest) if place is None else place, moved)
            await self._reorder(rest)
            self._dispatch(owner)
            self.changed(owner)
        return await self.tickets(owner)

    def news(self, owner: str) -> list[JobNews]:
        """What an owner has to be told, once. On a thread that may wait for a disk."""
        found = []
        for record in list(self._ended.values()):
            if record.owner == owner and record.told:
                found.append(JobNews(record.told, record.bad))
                record.told = ""
                with contextlib.suppress(OSError):
                    self._journal.write(record)
        return found

    def path(self, owner: str, id: str) -> Path | None:
        """Where a saved picture lies; None if it is gone."""
        day, _, name = id.partition("/")
        return self._studio.outputs.picture(owner, day, name)

    async def resume(self) -> int:
        """Take over what dead processes left. Says how many jobs are drawn again."""
        taken = await asyncio.to_thread(self._journal.take_over, self._note_saved)
        for record in taken:
            await self._take_on(record)
        for owner in {record.owner for record in taken}:
            self._dispatch(owner)
            self.changed(owner)
        return sum(record.id in self._open for record in taken)

    # Accepting

    def _look_at(
        self, owner: str, kind: RequestKind, body: dict[str, Any], salt: int
    ) -> tuple[AcceptedBody, Planned, list[str], dict[str, Any]]:
        options = self._studio.options.read(owner)
        if kind in ("txt2img", "img2img"):
            # Everything is kept: there is no answer to send it by. Of A1111's words those of now count.
            body = {**body, "save_images": True, "do_not_save_samples": False}
            options = {**options, "samples_save": True}
            with contextlib.suppress(ModelError):
                options["sd_model_checkpoint"] = self._studio.checkpoint(owner).name
            if not body.get("script_name") and not body.get("infotext"):
                with chance(salt):
                    said = {name: random_seed() for name in ("seed", "subseed") if _unsaid(body.get(name))}
                body |= said
        accepted = AcceptedBody(body=body, options=options, salt=salt)
        return accepted, *plan(self._studio, owner, kind, accepted)

    def _see_that_it_fits(self, owner: str, pictures: int) -> None:
        """Raise QueueFull where the owner has so many waiting that it would be too many."""
        limits, mine = self._studio.engine.limits, self.running(owner)
        waiting = sum(job.pictures_left for job in mine)
        for unit, have, more, field in (
            ("requests", len(mine), 1, "requests_waiting"),
            ("pictures", waiting, pictures, "pictures_waiting"),
        ):
            most = getattr(limits, field)
            if have + more > most:
                raise QueueFull(
                    f"you have {have:,} {unit} waiting, and {more:,} more would pass the {most:,g} that one "
                    "person may have; wait for some of them, or cancel them; the operator sets the limit by "
                    f"{setting(field)}"
                )

    def _write_down(self, record: AcceptedRequest, accepted: AcceptedBody) -> None:
        self._journal.write_request(record.id, accepted.model_dump_json().encode())
        self._journal.write(record)

    def _job(self, record: AcceptedRequest, planned: Planned) -> AsyncJob:
        pictures = KeptPictures(record, self._journal, self._studio.outputs, self._savers)
        return AsyncJob(self._studio, pictures, planned)

    # Drawing

    def _dispatch(self, owner: str) -> None:
        """Give the engine what it may have of an owner's, in their order."""
        if self._closing:
            return
        for job in sorted(self.running(owner), key=lambda job: job.record.place):
            if job.task is not None:
                continue
            under_way = [one for one in self.running(owner) if one.task is not None]
            if under_way and sum(one.pictures_left for one in under_way) >= _WINDOW:
                return
            if job.record.tries and self._a_suspect_is_under_way():
                continue
            job.withdrawn = False
            job.task = asyncio.create_task(self._run(job))

    def _a_suspect_is_under_way(self) -> bool:
        """What a process ended with is drawn one at a time: if another ends, it is known with which."""
        return any(job.record.tries and job.task is not None for job in self._open.values())

    async def _run(self, job: AsyncJob) -> None:
        record = job.record
        self.changed(record.owner)
        try:
            content = await asyncio.to_thread(self._journal.request, record.id)
            if content is None:
                raise NotSaved("what was accepted is gone from the disk")
            answer = await job.draw(AcceptedBody.model_validate_json(content))
            await self._end(job, "cancelled" if job.cancelled else "done", answer=answer)
        except asyncio.CancelledError:
            job.task = None
            if not job.withdrawn:
                raise
        except Stopped:
            # An orderly end is not the job's fault; the next process draws what is left.
            await asyncio.to_thread(job.pictures.write, _not_begun)
        except Exception as error:
            if not isinstance(error, ModelError):
                log.info("not drawn", job=record.id, error=type(error).__name__, reason=str(error))
            if failure(error).kind == "failed":
                log.exception("job failed", job=record.id)
            await self._end(job, "cancelled" if job.cancelled else "failed", error=failure(error))
        finally:
            for owner in self.owners() if record.tries else {record.owner}:
                self._dispatch(owner)

    async def _end(
        self,
        job: AsyncJob,
        state: Ending,
        *,
        answer: JobAnswer | None = None,
        error: TicketError | None = None,
        told: str = "",
    ) -> None:
        def note(record: AcceptedRequest) -> None:
            record.state, record.ended = state, time.time()
            record.comments = list(dict.fromkeys([*record.comments, *job.notes]))
            record.answer, record.error = answer, error if state == "failed" else None
            record.told, record.bad = told[:4000], bool(told)

        await asyncio.to_thread(job.pictures.write, note)
        await asyncio.to_thread(self._journal.remove_request, job.record.id)
        self._open.pop(job.record.id, None)
        self._ended[job.record.id] = job.record
        self.changed(job.record.owner)
        self._dispatch(job.record.owner)

    async def _reorder(self, jobs: list[AsyncJob]) -> None:
        """Let an owner's jobs have this order. What the engine has and has not begun is taken back."""
        for job in jobs:
            if job.task is not None and not job.begun:
                job.withdrawn = True
                job.task.cancel()
        waiting = [job.task for job in jobs if job.withdrawn and job.task is not None]
        if waiting:
            await asyncio.wait(waiting)
        first = min(job.record.place for job in jobs)

        def placed(number: int) -> Callable[[AcceptedRequest], None]:
            def note(record: AcceptedRequest) -> None:
                record.place = first + number / 1000

            return note

        for number, job in enumerate(jobs):
            await asyncio.to_thread(job.pictures.write, placed(number))

    # Looking

    def _company(self, owner: str) -> Company:
        """What each other person has to be drawn."""
        seconds: dict[str, float] = {}
        pictures: dict[str, int] = {}
        known = {one.id for job in list(self._open.values()) for one in job.jobs}
        for job in list(self._open.values()):
            whose = job.record.owner
            seconds[whose] = seconds.get(whose, 0.0) + (job.work_left() or 0.0)
            pictures[whose] = pictures.get(whose, 0) + job.pictures_left
        for one in self._studio.engine.jobs():
            if one.id not in known:
                now = one.progress()
                seconds[one.owner] = seconds.get(one.owner, 0.0) + (now.work_left or 0.0)
                pictures[one.owner] = pictures.get(one.owner, 0) + now.pictures - now.finished
        return Company([PersonsWork(seconds[one], pictures[one]) for one in seconds if one != owner])

    def _ticket(self, owner: str, id: str) -> Ticket:
        job = self._open.get(id)
        if job is not None and job.record.owner == owner:
            return next(
                one
                for one in open_tickets(self.running(owner), self._company(owner), self._picture_of(owner))
                if one.id == id
            )
        record = self._record(owner, id)
        kind = elsewhere_ticket if record.unfinished else ended_ticket
        return kind(record, self._picture_of(owner))

    def _record(self, owner: str, id: str) -> AcceptedRequest:
        self._forget()
        job = self._open.get(id)
        record = job.record if job else self._ended.get(id) or self._journal.read_if_there(id)
        if record is None or record.owner != owner or record.outlived:
            raise NoSuchTicket(id)
        return record

    def _picture_of(self, owner: str) -> Callable[[str], GalleryPicture | None]:
        def picture_of(id: str) -> GalleryPicture | None:
            key = f"{owner}\n{id}"
            if key not in self._pictures:
                path = self.path(owner, id)
                entry = picture_entry(path) if path else None
                if entry is None:
                    return None
                self._pictures[key] = entry
                while len(self._pictures) > _REMEMBERED_PICTURES:
                    self._pictures.popitem(last=False)
            return self._pictures[key]

        return picture_of

    def _forget(self) -> None:
        gone = [id for id, one in list(self._ended.items()) if one.outlived]
        old = [
            id
            for id, one in list(self._ended.items())
            if not one.told and time.time() - (one.ended or 0) > RESULT_KEPT
        ]
        for id in {*gone, *old}:
            self._ended.pop(id, None)

    # After a death

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.resume()
                await asyncio.to_thread(self._journal.tidy)
            except Exception:  # whatever lies in that folder, the next look comes
                log.exception("journal not read")
            await asyncio.sleep(LOOK_EVERY)

    async def _take_on(self, record: AcceptedRequest) -> None:
        if record.begun:
            record.begun = False
            record.tries += 1
        job = self._job(record, [])
        await asyncio.to_thread(job.pictures.write)
        words = _why_not(record)
        if record.cancel:
            await self._end(job, "cancelled")
        elif words:
            await self._end(job, "failed", error=TicketError(words=words, kind="cut_short"), told=words)
        else:
            await self._plan_again(job)

    async def _plan_again(self, job: AsyncJob) -> None:
        record = job.record
        content = await asyncio.to_thread(self._journal.request, record.id)
        try:
            if content is None:
                raise NotSaved("what was accepted is gone from the disk")
            accepted = AcceptedBody.model_validate_json(content)
            job.planned, *_ = await asyncio.to_thread(plan, self._studio, record.owner, record.kind, accepted)
        except Exception as error:
            found = failure(error)
            words = f"Not drawn after a restart of the studio: {found.words}"
            await self._end(job, "failed", error=found.model_copy(update={"words": words}), told=words)
            return
        job.news.append("The studio was restarted, and goes on with what was missing.")
        self._open[record.id] = job
        log.info("drawn again", job=record.id, pictures=job.pictures_left, tries=record.tries)

    def _note_saved(self, record: AcceptedRequest, number: int, staged: Path) -> None:
        """A picture is in the gallery under a name that nobody noted: the one of the same file."""
        folder, same = self._studio.outputs.owned(record.owner), staged.stat()
        days = sorted((day for day in folder.iterdir() if day.is_dir()), reverse=True)
        for path in (path for day in days for path in day.iterdir()):
            found = path.stat()
            if (found.st_ino, found.st_dev) == (same.st_ino, same.st_dev):
                record.done = {**record.done, number: f"{path.parent.name}/{path.name}"}
                return


def _not_begun(record: AcceptedRequest) -> None:
    record.begun = False


def _unsaid(seed: object) -> bool:
    return seed is None or str(seed).strip() == "-1"


def _why_not(record: AcceptedRequest) -> str:
    """Why a job that was taken over is not drawn again; "" if it is."""
    which = f"“{str(record.shown.get('prompt') or record.kind)[:80]}” ({record.width}x{record.height})"
    if record.tries >= TRIES or record.taken > TAKEN:
        return (
            f"Not drawn: {which}. The studio ended {record.tries or record.taken} times while it was at it. "
            "Draw it smaller, or in fewer pictures; the log of the endpoint says more."
        )
    if time.time() - record.at > TOO_OLD:
        return f"Not drawn: {which}. The studio was away for more than a day."
    return ""


def _sizes(planned: Planned) -> dict[str, int]:
    requests = [request for _, request in planned]
    if not requests:
        return {}
    last = requests[0].passes()[-1]
    return {
        "width": last.width,
        "height": last.height,
        "pictures": sum(request.pictures for request in requests),
        "steps": requests[0].steps,
    }


def pictures_of(owner: str, jobs: AsyncJobs, ids: Iterable[str]) -> list[bytes | None]:
    """The files of saved pictures; None for one that was deleted."""
    paths = [jobs.path(owner, id) for id in ids]
    return [path.read_bytes() if path else None for path in paths]
