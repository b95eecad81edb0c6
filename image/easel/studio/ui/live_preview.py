"""The picture while it is being drawn, and how far it is. All HTML of the page is made here."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from easel.studio.engine import JobState, ProgressReport
from easel.studio.png import encode_preview

if TYPE_CHECKING:
    from PIL.Image import Image


def escaped(text: str) -> str:
    """A text as HTML, for an element or an attribute; on one line, as Markdown wants it (markup.py)."""
    return escape(text).replace("\r", "").replace("\n", "&#10;")


def notice(words: str, *, bad: bool = False) -> str:
    """A message that stays."""
    kind, role = ("notice bad", "alert") if bad else ("notice", "status")
    return f'<div class="{kind}" role="{role}">{escaped(words)}</div>'


def data_uri(image: Image) -> str:
    """The picture as a `data:` URI."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_preview(image)).decode()


def running(now: ProgressReport, preview: str, width: int, height: int) -> str:
    """A job under way; `preview` is a `data:` URI or empty."""
    percent = round(now.fraction * 100)
    picture = (
        f'<img src="{escaped(preview)}" alt="Live preview" width="{width}" height="{height}">'
        if preview
        else '<span class="waiting" aria-hidden="true"></span>'
    )
    return (
        f'<figure class="stage" style="--ratio:{width}/{height}"><figcaption>'
        f'<span class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><i style="width:{percent}%"></i></span>'
        f"<span>{escaped(words(now))}</span></figcaption>{picture}</figure>"
    )


def words(now: ProgressReport) -> str:
    """How far a job is, in one line."""
    if now.state is JobState.QUEUED:
        if not now.ahead:
            return "Waiting for the engine…"
        return f"In the queue: {_count(now.ahead, 'request')} ahead of yours"
    if now.state is JobState.LOADING:
        detail = now.detail or "loading the checkpoint"
        return f"{detail[:1].upper()}{detail[1:]}…"
    parts = [f"{round(now.fraction * 100)} %", f"step {min(now.step + 1, now.steps)} of {now.steps}"]
    if now.pictures > 1:
        parts.insert(1, f"picture {min(now.finished + 1, now.pictures)} of {now.pictures}")
    if now.eta is not None:
        parts.append(_duration(now.eta))
    return " · ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "almost there"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    return f"about {round(seconds / 60)} min left"


def unsaved(files: list[bytes]) -> str:
    """Pictures that are nowhere but here."""
    return "".join(
        f'<figure class="stage"><img alt="Picture that is not saved" '
        f'src="data:image/png;base64,{base64.b64encode(file).decode()}"></figure>'
        for file in files
    )
