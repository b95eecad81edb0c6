"""Pictures on their way to be larger: each a job of the engine, in its owner's share."""

from __future__ import annotations

import asyncio
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from easel.remark import figure, remark
from easel.studio.api.hanging_up import Waiting
from easel.studio.api.keeper import Keeper, NoKeeper, PictureFile
from easel.studio.api.png_info import NOT_ITEMS
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.extras_request import ExtrasRequest
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.drawing_settings import upscaler_tiles
from easel.studio.engine import (
    Drawn,
    Enlargement,
    FaceRestoration,
    Job,
    TextToImage,
    TooMuchWork,
    find_face_files,
    find_upscaler,
)
from easel.studio.infotext import parse, quote
from easel.studio.png import from_base64, read_texts
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

_MILLION = 1_000_000
# Of a seed: a file's name holds it.
_MAX_DIGITS = 20
_ONE_RESTORER = remark("one_restorer", "CodeFormer was passed over: one restorer is enough.")
_INTERRUPTED = remark("interrupted", "Interrupted.")
# Not texts of the picture, and what becomes of "parameters" is said where the file is written.
_FACTS = NOT_ITEMS - {"parameters"}


@dataclass(frozen=True)
class _Sent:
    """A picture that came: its file, its size in pixels, and the texts in it."""

    file: bytes
    size: tuple[int, int]
    texts: Mapping[str, str]

    @property
    def image(self) -> Image:
        """Opened."""
        from PIL import Image as pillow

        return pillow.open(io.BytesIO(self.file))


class ExtrasRun:
    """One request under way: `begin` looks at it, `files` makes it. `jobs` is what the engine has been given,
    `line` where the client waits."""

    def __init__(
        self,
        studio: Studio,
        owner: str,
        options: Mapping[str, Any],
        line: Waiting,
        keeper: Keeper | None = None,
    ) -> None:
        self.jobs: list[Job] = []
        self.requests: list[TextToImage] = []
        self.cancelled = False
        self.notes: list[str] = []
        self._studio, self._owner, self._line = studio, owner, line
        self._how, self._tiles = AnswerFormat.of(options), upscaler_tiles(options)
        self._keeper: Keeper = keeper or NoKeeper()
        self._pictures: list[_Sent] = []
        self._info = ""

    @property
    def html_info(self) -> str:
        """A1111's paragraph, and one for each sentence more."""
        return "".join(f"<p>{html.escape(words)}</p>" for words in (self._info, *self.notes))

    async def begin(self, asked: ExtrasRequest) -> None:
        """Look at all of it before anything is made. Raises BadPicture, InvalidRequest and TooMuchWork."""
        await asyncio.to_thread(self.look_at, asked)

    def cancel(self, *, keep_partial: bool) -> None:
        """Stop it. What is there by then stays."""
        self.cancelled = True
        for job in self.jobs:
            job.cancel(keep_partial=keep_partial)

    async def files(self) -> list[bytes]:
        """The files of those that could be made before somebody interrupted. Raises what ended a job."""
        if not self.requests:
            return await asyncio.to_thread(self._as_they_are)
        try:
            await asyncio.to_thread(self._submit)
            await self._line.ended(self.jobs)
            return await asyncio.to_thread(self._made)
        finally:
            for job in self.jobs:
                job.cancel()

    def look_at(self, asked: ExtrasRequest) -> None:
        """As `begin`, on a thread that may wait."""
        self._pictures = [_read(field, text) for field, text in asked.sent()]
        asked = _named(self._studio, asked)
        faces, told = _restored_by(self._studio, asked)
        self.notes += told
        if asked.upscaler_1 == "None" and faces is None:
            return
        self._info = _info(asked, faces)
        enlargements = [replace(_enlargement(asked, one), faces=faces) for one in self._pictures]
        self.requests = [
            TextToImage(enlargement=one, upscaler_tiles=self._tiles).resolved() for one in enlargements
        ]
        self._check_size()

    def _check_size(self) -> None:
        last = [one.passes()[-1] for one in self.requests]
        megapixels = sum(one.width * one.height for one in last) / _MILLION
        most = self._studio.engine.limits.pixels_per_request
        if megapixels > most and len(self.requests) > 1:
            raise TooMuchWork(
                "imageList",
                remark(
                    "too_many_enlarged",
                    "{n} pictures become {megapixels} megapixels, which must be in memory "
                    "until the last is made; one request may ask for {most}. Send fewer at a time",
                    n=len(self.requests),
                    megapixels=figure(megapixels, ",.0f"),
                    most=figure(most, ",g"),
                ),
            )

    def _submit(self) -> None:
        for number, request in enumerate(self.requests):
            job = self._studio.engine.submit(
                self._owner,
                request,
                only=self._keeper.missing(number, request),
                watcher=self._keeper.watcher(number, partial(self._file, number)),
            )
            self._studio.tasks.name(job, before=tuple(self.jobs))
            self.jobs.append(job)
            if self.cancelled:
                job.cancel()

    def _made(self) -> list[bytes]:
        found = []
        for number, job in enumerate(self.jobs):
            drawn = job.result(timeout=0)
            if drawn:
                found.append(self._file(number, drawn[0]).content)
            elif not job.wanted:
                found.append(self._file(number, job.picture(0, self._keeper.kept(number)[0])).content)
        if len(found) < len(self._pictures):
            self.notes.append(_INTERRUPTED)
        return found

    def _as_they_are(self) -> list[bytes]:
        files = [self._written(one, one.image) for one in self._pictures]
        for number, file in enumerate(files):
            self._keeper.keep(number, file)
        return [one.content for one in files]

    def _file(self, number: int, drawn: Drawn) -> PictureFile:
        return self._written(self._pictures[number], drawn.image)

    def _written(self, sent: _Sent, image: Image) -> PictureFile:
        """The file: what the picture said of itself, and what was done to it."""
        others = {**sent.texts, "postprocessing": self._info}
        parameters = others.pop("parameters", "")
        seed = parse(parameters).parameters.get("Seed", "") if parameters else ""
        content, ending = self._how.file(image, parameters, kept=False, others=others)
        told = seed.isascii() and seed.isdigit() and len(seed) <= _MAX_DIGITS
        return PictureFile(content, ending, int(seed) if told else 0)


def _restored_by(studio: Studio, asked: ExtrasRequest) -> tuple[FaceRestoration | None, list[str]]:
    """What restores faces here, None where nothing does or is asked to; and what there is to say of it."""
    if asked.faces is None:
        return None, []
    files, note = find_face_files(studio.engine.store, asked.faces)
    found = replace(asked.faces, model=files.name) if files else None
    both = asked.gfpgan_visibility and asked.codeformer_visibility
    told = [note, _ONE_RESTORER if both else ""]
    return found, [words for words in told if words]


def _read(field: str, text: str) -> _Sent:
    """A picture of the request, with what it says of itself. Raises BadPicture."""
    file, size = decoded(text, field)
    texts = {key: value for key, value in read_texts(from_base64(text)).items() if key not in _FACTS}
    return _Sent(file, size, texts)


def _named(studio: Studio, asked: ExtrasRequest) -> ExtrasRequest:
    """The request with its upscalers by the names that infotexts have. Raises InvalidRequest."""
    fields = ("upscaler_1", "upscaler_2")
    names = {name: getattr(asked, name).strip() or "None" for name in fields}
    store = studio.engine.store
    return asked.model_copy(
        update={field: find_upscaler(store, field, name).name for field, name in names.items()}
    )


def _enlargement(asked: ExtrasRequest, sent: _Sent) -> Enlargement:
    return Enlargement(
        image=sent.file,
        width=sent.size[0],
        height=sent.size[1],
        upscaler=asked.upscaler_1,
        factor=asked.upscaling_resize,
        cover=(asked.upscaling_resize_w, asked.upscaling_resize_h) if asked.resize_mode else None,
        crop=asked.upscaling_crop,
        second_upscaler=asked.upscaler_2,
        second_share=asked.extras_upscaler_2_visibility,
    )


def _info(asked: ExtrasRequest, faces: FaceRestoration | None) -> str:
    """What was done, as A1111 says it."""
    said = _of_upscaling(asked) if asked.upscaler_1 != "None" else {}
    if faces is not None:
        said[f"{faces.model} visibility"] = round(faces.visibility, 3)
    return ", ".join(f"{key}: {quote(value)}" for key, value in said.items())


def _of_upscaling(asked: ExtrasRequest) -> dict[str, object]:
    said: dict[str, object] = {"Postprocess upscale by": asked.upscaling_resize}
    if asked.resize_mode:
        size = f"{asked.upscaling_resize_w}x{asked.upscaling_resize_h}"
        said = {"Postprocess upscale to": size}
        if asked.upscaling_crop:
            said["Postprocess crop to"] = size
    said["Postprocess upscaler"] = asked.upscaler_1
    if asked.upscaler_2 != "None" and asked.extras_upscaler_2_visibility:
        said["Postprocess upscaler 2"] = asked.upscaler_2
    return said
