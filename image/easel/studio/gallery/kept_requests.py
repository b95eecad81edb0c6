"""What pictures were drawn from that no infotext holds: the request, and the pictures that were sent with it.

Of tickets that draw over a picture, beside the day: `.gallery/requests/<picture>.json`, and each picture that
was sent once, by the hash of its bytes. They go with the last picture that was drawn from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from easel.models import write_whole
from easel.remark import remark
from easel.studio.gallery.errors import NoSuchRequest
from easel.studio.outputs import BESIDE

log = structlog.get_logger(__name__)

MOST_BYTES = 24_000_000
"""Of all texts of one request that are longer than `_LONG`; one that has more is not kept."""
_MOST_BESIDE = 1_000_000
"""Of all else of a request: it is written for each of its pictures."""
_LONG = 4000
"""Characters: what is longer is a picture in base64, or a data: URI."""
_SENT = "$sent"


def keep_request(pictures: Sequence[Path], body: dict[str, Any]) -> None:
    """Keep what these saved pictures were drawn from. That it cannot be written is logged, and no fault."""
    sent: dict[str, str] = {}
    kept = _without_sent(body, sent)
    if sum(map(len, sent.values())) > MOST_BYTES:
        return
    content = json.dumps({"sent": list(sent), "body": kept}).encode()
    if len(content) > _MOST_BESIDE:
        return
    try:
        for day in dict.fromkeys(path.parent for path in pictures):
            for name, text in sent.items():
                if not (file := _sent_file(day, name)).exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(file, text.encode())
        for path in pictures:
            _request_file(path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(_request_file(path), content)
    except OSError as error:
        log.warning("request not kept", reason=error.strerror)


def request_of(picture: Path) -> dict[str, Any]:
    """A1111's body that a picture was drawn from. Raises NoSuchRequest where it is not kept, or not whole."""
    try:
        found = json.loads(_request_file(picture).read_bytes())
        sent = {name: _sent_file(picture.parent, name).read_text() for name in found["sent"]}
        body: dict[str, Any] = _with_sent(found["body"], sent)
    except (OSError, ValueError, KeyError, TypeError):
        words = "what picture {name} was drawn over is not kept here"
        raise NoSuchRequest(remark("no_such_request", words, name=picture.name)) from None
    return body


def forget_requests(pictures: Sequence[Path]) -> None:
    """Pictures are gone: what they alone were drawn from goes too."""
    for day in {path.parent for path in pictures}:
        with contextlib.suppress(OSError):
            _forget(day, [path for path in pictures if path.parent == day])


def _forget(day: Path, pictures: list[Path]) -> None:
    gone = [file for path in pictures if (file := _request_file(path)).exists()]
    for file in gone:
        file.unlink(missing_ok=True)
    if not gone:
        return
    wanted = {name for file in _request_file(day / "any").parent.iterdir() for name in _sent_with(file)}
    for file in _sent_file(day, "any").parent.iterdir():
        if file.name not in wanted:
            file.unlink(missing_ok=True)


def _sent_with(file: Path) -> Iterator[str]:
    with contextlib.suppress(OSError, ValueError, KeyError):
        yield from json.loads(file.read_bytes())["sent"]


def _request_file(picture: Path) -> Path:
    return picture.parent / BESIDE / "requests" / f"{picture.name}.json"


def _sent_file(day: Path, name: str) -> Path:
    return day / BESIDE / "sent" / name


def _without_sent(value: Any, sent: dict[str, str]) -> Any:
    """`value` with names in the places of pictures, which get into `sent`."""
    if isinstance(value, dict):
        return {key: _without_sent(one, sent) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_sent(one, sent) for one in value]
    if isinstance(value, str) and (len(value) > _LONG or value.startswith("data:")):
        name = hashlib.sha256(value.encode()).hexdigest()
        sent[name] = value
        return {_SENT: name}
    return value


def _with_sent(value: Any, sent: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_SENT}:
            return sent[value[_SENT]]
        return {key: _with_sent(one, sent) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_sent(one, sent) for one in value]
    return value
