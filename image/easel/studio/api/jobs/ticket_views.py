"""Tickets of all that there is, for whoever looks: on threads that may wait for a disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from easel.studio.api.jobs.job_book import JobBook
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.api.jobs.ticket import Company, Ticket, elsewhere_ticket, ended_ticket, open_tickets
from easel.studio.engine import JobState, PersonsWork, by_person
from easel.studio.gallery_picture import GalleryPicture, picture_entry
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

_LISTED = 20
_REMEMBERED_PICTURES = 2000


class TicketViews:
    """Thread-safe, as far as a look may be a moment old."""

    def __init__(self, studio: Studio, book: JobBook) -> None:
        self._studio, self._book = studio, book
        self._pictures: OrderedDict[str, GalleryPicture] = OrderedDict()

    def all(self, owner: str) -> list[Ticket]:
        """An owner's unfinished jobs in their order, then those that ended within the hour, newest first."""
        found = self._open(owner)
        ended = self._book.latest(owner)[:_LISTED]
        return [*found, *(ended_ticket(one, self._picture_of(owner)) for one in ended)]

    def one(self, owner: str, id: str) -> Ticket:
        """One of them. Raises NoSuchTicket."""
        if self._book.find(owner, id) is not None:
            for ticket in self._open(owner):
                if ticket.id == id:
                    return ticket
        record = self._book.record(owner, id)
        kind = elsewhere_ticket if record.unfinished else ended_ticket
        return kind(record, self._picture_of(owner))

    def ended(self, record: AcceptedRequest) -> Ticket:
        """That of a job that has ended."""
        return ended_ticket(record, self._picture_of(record.owner))

    def preview(self, owner: str, id: str) -> Image | None:
        """How a picture of one of them looks now; None while there is nothing to see. Asking makes the engine
        draw a look in the next second."""
        job = self._book.find(owner, id)
        current = next((one for one in job.jobs if one.state is JobState.RUNNING), None) if job else None
        return current.progress(preview=True).preview if current else None

    def path(self, owner: str, id: str) -> Path | None:
        """Where a saved picture lies; None if it is gone."""
        day, _, name = id.partition("/")
        return self._studio.outputs.picture(owner, day, name)

    def files(self, owner: str, ids: list[str]) -> list[bytes]:
        """The files of saved pictures that were not deleted."""
        paths = [self.path(owner, id) for id in ids]
        return [path.read_bytes() for path in paths if path]

    def _open(self, owner: str) -> list[Ticket]:
        company = Company(self.others_work(owner))
        return open_tickets(self._book.running(owner), company, self._picture_of(owner))

    def others_work(self, owner: str) -> list[PersonsWork]:
        """What each other person has to be drawn."""
        tickets = list(self._book.open.values())
        known = {one.id for job in tickets for one in job.jobs}
        awaited = [(one.owner, one.progress()) for one in self._studio.engine.jobs() if one.id not in known]
        left = by_person(
            [
                *(
                    (job.record.owner, job.work_left(), job.pictures_left, job.units_left())
                    for job in tickets
                ),
                *((whose, now.work_left, now.pictures_left, now.units_left) for whose, now in awaited),
            ]
        )
        return [work for whose, work in left.items() if whose != owner]

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
