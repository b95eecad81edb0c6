"""All asynchronous requests of one process: accepted, drawn in their owners' order, kept until they are asked
for no more, and taken over from processes that died."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog

from easel.models import ModelFile
from easel.remark import remark, said_by
from easel.studio.api.jobs.acceptance import look_at, not_written_down, see_that_it_fits, sizes
from easel.studio.api.jobs.async_job import AsyncJob, Planned, plan
from easel.studio.api.jobs.failure import failure
from easel.studio.api.jobs.job_book import JobBook, NoSuchTicket
from easel.studio.api.jobs.kept_pictures import KeptPictures
from easel.studio.api.jobs.kept_steps import keep_every
from easel.studio.api.jobs.record import (
    AcceptedBody,
    AcceptedRequest,
    Ending,
    JobAnswer,
    RequestKind,
    TicketError,
)
from easel.studio.api.jobs.takeover import note_saved, why_not
from easel.studio.api.jobs.ticket import Ticket
from easel.studio.api.jobs.ticket_views import TicketViews
from easel.studio.api.jobs.webhook import WebhookSecret, wanted
from easel.studio.api.jobs.webhooks import Webhooks
from easel.studio.coded_text import coded
from easel.studio.durable_jobs import LOOK_EVERY, Journal
from easel.studio.engine import SHUTTING_DOWN, QueueFull, Stopped, mentions
from easel.studio.fetch_policy import visitors_policy
from easel.studio.gallery import keep_request
from easel.studio.outputs import NotSaved
from easel.studio.studio import Studio
from easel.studio.styles import Styles

log = structlog.get_logger(__name__)
_GONE = remark("accepted_gone", "what was accepted is gone from the disk")

# Pictures of one person that the engine is given ahead: enough to fill a call, and what waits behind them may
# still be moved.
_WINDOW = 8
_AGAIN_AFTER = 2.0


class AsyncJobs:
    """Used from the event loop only; what waits for a disk does so on threads. `changed` is told of each job
    that begins, is moved, or ends."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._journal: Journal[AcceptedRequest] = Journal(studio.outputs.folder / ".jobs", AcceptedRequest)
        # Encoding a large picture takes a second; the engine goes on meanwhile.
        self._savers = ThreadPoolExecutor(2, thread_name_prefix="keeping")
        self._keep_every = keep_every()
        self._book = JobBook(self._journal)
        self.views = TicketViews(studio, self._book)
        self._secret, policy = WebhookSecret.of(), visitors_policy()
        self._plain_webhooks = policy.private
        self._webhooks = Webhooks(policy, self._secret, self.views.ended, self._journal.write)
        self._looking: asyncio.Task[None] | None = None
        self._closing, self._moving = False, set[str]()
        self.changed: Callable[[str], None] = lambda _owner: None

    async def start(self) -> None:
        """Take over what dead processes left, now and then from now on."""
        for record in await asyncio.to_thread(lambda: list(self._journal.entries())):
            if not record.unfinished:
                self._book.ended[record.id] = record
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self) -> None:
        """Save what is drawn. What was not drawn is the next process's. The engine has been stopped before,
        so that every job ends by itself."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
        tasks = [job.task for job in self._book.open.values() if job.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._webhooks.close()
        await asyncio.to_thread(self._journal.close)

    async def submit(
        self, owner: str, kind: RequestKind, body: dict[str, Any], *, webhook: str | None = None
    ) -> Ticket:
        """Accept a request, of whose end `webhook` is told. Raises what refuses it, QueueFull for one too
        many, and NotSaved where it cannot be written down."""
        if self._closing:
            raise Stopped(SHUTTING_DOWN)
        told = wanted(webhook, self._secret, plain=self._plain_webhooks)
        salt = random.SystemRandom().getrandbits(63)
        accepted, planned, notes, shown = await asyncio.to_thread(
            look_at, self._studio, owner, kind, body, salt
        )
        now = time.time()
        record = AcceptedRequest(
            id=uuid.uuid4().hex, owner=owner, by=self._journal.process, at=now, place=now, kind=kind,
            shown=shown, checkpoints=[one.name for one, _ in planned if one], remarks=coded(notes),
            webhook=told, **sizes(planned),
        )  # fmt: skip
        record.pictures = record.pictures or len(accepted.body.get("imageList") or [0])
        self._see_that_it_fits(owner, record.pictures)
        job = self._job(record, planned)
        try:
            await asyncio.to_thread(self._write_down, record, accepted)
        except OSError as error:
            raise not_written_down(error) from error
        try:
            # Again, for others came while it was written. In the book only now: what is there is begun by the
            # end of another one, and read from the disk.
            self._see_that_it_fits(owner, record.pictures)
        except QueueFull:
            await asyncio.to_thread(self._journal.remove, record.id)
            raise
        self._book.open[record.id] = job
        self._dispatch(owner)
        return await self.ticket(owner, record.id)

    def owners(self) -> set[str]:
        """Whose jobs are under way or waiting."""
        return self._book.owners()

    def need(self, file: ModelFile) -> bool:
        """Whether an unfinished ticket of anybody's, on any replica, says an embedding's name. On a thread
        that may wait for a disk. The name as a word of somebody's prompt is taken for the embedding's."""
        named = mentions([file.stem])
        return named is not None and any(
            any(map(named.search, _texts(one.shown))) for one in self._journal.entries() if one.unfinished
        )

    async def record(self, owner: str, id: str) -> AcceptedRequest:
        """What is kept of one of an owner's. Raises NoSuchTicket."""
        return await asyncio.to_thread(self._book.record, owner, id)

    def news(self, owner: str) -> list[AcceptedRequest]:
        """Those of which an owner has to be told, once. On a thread that may wait for a disk."""
        return self._book.news(owner)

    async def tickets(self, owner: str) -> list[Ticket]:
        """An owner's unfinished jobs in their order, then those that ended within the hour, newest first."""
        return await asyncio.to_thread(self.views.all, owner)

    async def ticket(self, owner: str, id: str) -> Ticket:
        """One of them. Raises NoSuchTicket."""
        return await asyncio.to_thread(self.views.one, owner, id)

    async def cancel(self, owner: str, id: str, *, keep: bool) -> Ticket:
        """End one of them; what is saved stays, and with `keep` what is half drawn is saved too. Raises
        NoSuchTicket."""
        job = self._book.open.get(id)
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
            if id in self._book.open:
                await self._end(job, "cancelled")
        elif task is not None:
            await asyncio.wait([task], timeout=2)
        return await self.ticket(owner, id)

    async def interrupt(self, owner: str) -> None:
        """End all of an owner's, the last first, for each would begin while the one before it ends."""
        last_first = [self.cancel(owner, job.record.id, keep=True) for job in self._book.running(owner)][::-1]
        await asyncio.gather(*last_first)

    async def move(self, owner: str, id: str, before: str | None) -> list[Ticket]:
        """Draw one that has not begun before another one of the same owner, or last. Raises NoSuchTicket."""
        mine = self._book.running(owner)
        moved = next((job for job in mine if job.record.id == id), None)
        rest = [job for job in mine if job is not moved]
        place = next((n for n, job in enumerate(rest) if job.record.id == before), None)
        if moved is None or (before is not None and place is None):
            raise NoSuchTicket(id if moved is None else before)
        if not moved.begun:
            rest.insert(len(rest) if place is None else place, moved)
            self._moving.add(owner)
            try:
                await self._reorder(rest)
            finally:
                self._moving.discard(owner)
            self._dispatch(owner)
            self.changed(owner)
        return await self.tickets(owner)

    async def resume(self) -> int:
        """Take over what dead processes left. Says how many jobs are drawn again."""
        taken = await asyncio.to_thread(self._journal.take_over, partial(note_saved, self._studio.outputs))
        for record in taken:
            await self._take_on(record)
        for owner in {record.owner for record in taken}:
            self._dispatch(owner)
            self.changed(owner)
        return sum(record.id in self._book.open for record in taken)

    # Accepting

    def _see_that_it_fits(self, owner: str, pictures: int) -> None:
        limits, others = self._studio.engine.limits.of_person(owner), partial(self.views.others_work, owner)
        see_that_it_fits(limits, self._book.running(owner), others, pictures)

    def _write_down(self, record: AcceptedRequest, accepted: AcceptedBody) -> None:
        self._journal.write_request(record.id, accepted.model_dump_json().encode())
        self._journal.write(record)

    def _job(self, record: AcceptedRequest, planned: Planned) -> AsyncJob:
        pictures = KeptPictures(record, self._journal, self._studio.outputs, self._savers, self._keep_every)
        return AsyncJob(self._studio, pictures, planned)

    # Drawing

    def _dispatch(self, owner: str) -> None:
        """Give the engine what it may have of an owner's, in their order."""
        if self._closing or owner in self._moving:
            return
        for job in sorted(self._book.running(owner), key=lambda job: job.record.place):
            if job.task is not None or job.record.cancel:
                continue
            under_way = [one for one in self._book.running(owner) if one.task is not None]
            if under_way and sum(one.pictures_left for one in under_way) >= _WINDOW:
                return
            if job.record.tries and self._a_suspect_is_under_way():
                continue
            job.withdrawn = False
            job.task = asyncio.create_task(self._run(job))

    def _a_suspect_is_under_way(self) -> bool:
        """What a process ended with is drawn one at a time: if another ends, it is known with which."""
        return any(job.record.tries and job.task is not None for job in self._book.open.values())

    async def _run(self, job: AsyncJob) -> None:
        record = job.record
        suspect = record.tries > 0  # by the end its first picture has cleared it
        self.changed(record.owner)
        try:
            content = await asyncio.to_thread(self._journal.request, record.id)
            if content is None:
                raise NotSaved(_GONE)
            accepted = AcceptedBody.model_validate_json(content)
            answer = await job.draw(accepted)
            await asyncio.to_thread(self._keep_beside, record, accepted)
            await self._end(job, "cancelled" if job.cancelled else "done", answer=answer)
        except asyncio.CancelledError:
            job.task = None
            if not job.withdrawn:
                raise
            job.taken_back()
        except Stopped:
            # An orderly end is not the job's fault; the next process draws what is left.
            await asyncio.to_thread(job.pictures.write, _not_begun)
        except Exception as error:
            if isinstance(error, QueueFull) and self._studio.engine.jobs(record.owner):
                # Requests that are waited for take the room; it comes when they are drawn.
                await asyncio.sleep(_AGAIN_AFTER)
                job.task = None
                return
            log.info("not drawn", job=record.id, error=type(error).__name__, reason=str(error))
            if failure(error).kind == "failed":
                log.exception("job failed", job=record.id)
            await self._end(job, "cancelled" if job.cancelled else "failed", error=failure(error))
        finally:
            for owner in self.owners() if suspect else {record.owner}:
                self._dispatch(owner)

    def _keep_beside(self, record: AcceptedRequest, accepted: AcceptedBody) -> None:
        """What it drew over is in no infotext: without it nobody could vary its pictures. And what its styles
        look like, as the page shows beside their names."""
        ids = dict.fromkeys((*record.done.values(), *record.results))
        paths = [path for id in ids if (path := self.views.path(record.owner, id))]
        if record.kind == "img2img" or accepted.body.get("reference_images"):
            keep_request(paths, accepted.body)
        known = Styles(self._studio.outputs, record.owner)
        styles, _ = known.find([one for one in accepted.body.get("styles") or [] if isinstance(one, str)])
        for style in styles if paths else ():
            try:
                known.own_looks.keep(style.name, paths[0])
            except (OSError, ValueError, NotSaved) as error:
                log.info("no look of a style", style=style.name, reason=str(error))

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
            record.remarks = coded(job.notes, record.remarks)
            record.answer, record.error = answer, error if state == "failed" else None
            record.told, record.bad = told[:4000], bool(told)

        await asyncio.to_thread(job.pictures.write, note)
        await asyncio.to_thread(self._journal.remove_request, job.record.id)
        self._book.open.pop(job.record.id, None)
        self._book.ended[job.record.id] = job.record
        self._webhooks.deliver(job.record)
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
        if not record.unfinished:
            self._book.ended[record.id] = record
            self._webhooks.deliver(record)
            return
        if record.begun:
            record.begun = False
            record.tries += 1
        job = self._job(record, [])
        await asyncio.to_thread(job.pictures.write)
        words = why_not(record)
        if record.cancel:
            await self._end(job, "cancelled")
        elif words:
            await self._end(job, "failed", error=TicketError.of(words, "cut_short"), told=words)
        else:
            await self._plan_again(job)

    async def _plan_again(self, job: AsyncJob) -> None:
        record = job.record
        content = await asyncio.to_thread(self._journal.request, record.id)
        try:
            if content is None:
                raise NotSaved(_GONE)
            accepted = AcceptedBody.model_validate_json(content)
            job.planned, *_ = await asyncio.to_thread(plan, self._studio, record.owner, record.kind, accepted)
        except Exception as error:
            found = failure(error)
            words = remark(
                "not_after_restart", "Not drawn after a restart of the studio: {why}", why=said_by(error)
            )
            await self._end(job, "failed", error=TicketError.of(words, found.kind, found.field), told=words)
            return
        job.news.append(remark("restarted", "The studio was restarted, and goes on with what was missing."))
        self._book.open[record.id] = job
        log.info("drawn again", job=record.id, pictures=job.pictures_left, tries=record.tries)


def _texts(value: object) -> Iterator[str]:
    """All that is text in a request, wherever it stands."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


def _not_begun(record: AcceptedRequest) -> None:
    record.begun = False
