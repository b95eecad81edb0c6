"""Pictures of an asynchronous request on their way into the gallery, each exactly once."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from easel.remark import remark
from easel.studio.api.jobs.kept_steps import KeptSteps
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.api.keeper import FileOf, PictureFile
from easel.studio.durable_jobs import Journal
from easel.studio.engine import Drawn, TextToImage
from easel.studio.outputs import NotSaved, Outputs
from easel.studio.png import read_texts

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

log = structlog.get_logger(__name__)


class KeptPictures:
    """The `Keeper` of one request. A picture is staged in the journal, named in the gallery, noted, and then
    unstaged: after a death in between, its second name says that it is saved."""

    def __init__(
        self,
        record: AcceptedRequest,
        journal: Journal[AcceptedRequest],
        outputs: Outputs,
        savers: ThreadPoolExecutor,
        keep_every: float,
    ) -> None:
        self.record = record
        self.keep_every = keep_every
        self.problem: NotSaved | None = None
        """Why the last picture that could not be saved could not."""
        self.tasks: list[Future[None]] = []
        self.steps = KeptSteps(record.id, journal)
        self._journal, self._outputs, self._savers = journal, outputs, savers
        self._lock = threading.Lock()

    def write(self, change: Callable[[AcceptedRequest], None] = lambda _: None) -> None:
        """Change the record and keep it. A full disk costs no picture: it is drawn all the same."""
        with self._lock:
            change(self.record)
            try:
                self._journal.write(self.record)
            except (OSError, ValueError) as error:
                log.warning("journal not written", job=self.record.id, reason=type(error).__name__)

    def missing(self, first: int, request: TextToImage) -> tuple[int, ...] | None:
        """Those that are not in the gallery."""
        there = {number - first for number in self.record.done}
        found = tuple(index for index in range(request.pictures) if index not in there)
        return None if len(found) == request.pictures else found

    def watcher(self, first: int, file_of: FileOf) -> _Watcher:
        """Saves them as they come, and knows how far they were."""
        before = self.steps.read() if self.record.taken else {}
        return _Watcher(self, first, file_of, before)

    def kept(self, number: int) -> tuple[Image, str]:
        """One that is in the gallery. Raises NotSaved for one that was deleted there meanwhile."""
        from PIL import Image as pillow

        path = self.path(self.record.done[number])
        try:
            content = path.read_bytes() if path else b""
            image = pillow.open(io.BytesIO(content)).convert("RGB")
        except OSError as error:
            raise NotSaved(
                remark(
                    "deleted_meanwhile",
                    "a picture of this request was deleted before the others were drawn",
                )
            ) from error
        return image, read_texts(content).get("parameters", "")

    def path(self, id: str) -> Path | None:
        """Where a picture of the gallery lies; None if it is gone."""
        day, _, name = id.partition("/")
        return self._outputs.picture(self.record.owner, day, name)

    def keep(self, number: int, file: PictureFile) -> None:
        """Into the gallery, if it is not there. Raises NotSaved."""
        if number in self.record.done:
            return
        staged = self._journal.staging(self.record.id, number, file.ending)
        path = self._outputs.save(
            self.record.owner, file.content, file.seed, staged=staged, ending=file.ending
        )

        def note(record: AcceptedRequest) -> None:
            record.done = {**record.done, number: f"{path.parent.name}/{path.name}"}
            record.tries = 0

        self.write(note)
        staged.unlink(missing_ok=True)
        self.steps.forget(number)

    def later(self, task: Callable[[], None]) -> None:
        """Do it on a saving thread."""
        self.tasks.append(self._savers.submit(task))


class _Watcher:
    """Told by the engine of the pictures of one of its jobs."""

    def __init__(
        self, pictures: KeptPictures, first: int, file_of: FileOf, before: Mapping[int, Sequence[Tensor]]
    ) -> None:
        self._pictures, self._first, self._file_of = pictures, first, file_of
        self._before = before

    @property
    def keep_every(self) -> float:
        """As the operator wants it."""
        return self._pictures.keep_every

    def begun(self) -> None:
        """Drawing begins: if this process ends now, the job may be what ended it."""

        def note(record: AcceptedRequest) -> None:
            record.begun = True

        self._pictures.later(lambda: self._pictures.write(note))

    def drawn(self, picture: Drawn) -> None:
        """One is there."""
        if kept := len(self.answers(picture.index)):
            log.info("went on", job=self._pictures.record.id, picture=self._first + picture.index, calls=kept)
        self._pictures.later(lambda: self._save(picture))

    def reached(self, index: int, first: int, answers: Sequence[Tensor]) -> None:
        """One goes on."""
        steps, number = self._pictures.steps, self._first + index
        self._pictures.later(lambda: steps.write(number, first, answers))

    def answers(self, index: int) -> Sequence[Tensor]:
        """What one was answered before this process lived."""
        return self._before.get(self._first + index, ())

    def _save(self, picture: Drawn) -> None:
        try:
            self._pictures.keep(self._first + picture.index, self._file_of(picture))
        except NotSaved as error:
            log.error("picture not saved", job=self._pictures.record.id, reason=str(error))
            self._pictures.problem = error
