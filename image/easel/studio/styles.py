"""Where styles lie: A1111's `styles.csv`, one of the team and one of each person.

The endpoint's is `outputs/<endpoint>/styles.csv`, a person's beside their pictures. A person's own comes
before the team's of the same name. A file of A1111's can be copied there as it is.
"""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import structlog

from easel.models import Lock, write_whole
from easel.remark import figure, remark
from easel.studio.engine import InvalidRequest, Style, merge_styles, read_styles, write_styles
from easel.studio.looks import Looks
from easel.studio.outputs import NotSaved, Outputs

log = structlog.get_logger(__name__)

FILE = "styles.csv"
_LOOKS = ".styles"
# A1111's longest collections have some two thousand.
MAX_BYTES = 4_000_000
MAX_NAME = 200
MAX_TEXT = 50_000
"""Characters of a prompt: Python's reader takes a file with a cell of 131,072 for broken."""
# What A1111's page calls no style at all.
_NO_STYLE = "none"
_WAIT, _AGAIN = 5.0, 0.02


class NoSuchStyle(Exception):
    """There is no style of this name to change or delete."""


class StyleExists(Exception):
    """There is a style of this name already."""


class StylesBusy(Exception):
    """Others write the same file and did not come to an end."""


class Styles:
    """What one person may use: for one request, as the files are when it first asks."""

    def __init__(self, outputs: Outputs, owner: str) -> None:
        self._own = outputs.owned(owner) / FILE
        self._team = outputs.folder / FILE

    @property
    def own(self) -> StyleFile:
        """The person's."""
        return StyleFile(self._own)

    @property
    def team(self) -> StyleFile:
        """The team's."""
        return StyleFile(self._team)

    @property
    def own_looks(self) -> Looks:
        """What styles, the team's too, look like in the person's own pictures: nobody else sees those."""
        return Looks(self._own.parent / _LOOKS)

    @property
    def team_looks(self) -> Looks:
        """What somebody chose to show everybody."""
        return Looks(self._team.parent / _LOOKS)

    @cached_property
    def known(self) -> dict[str, Style]:
        """All of them by name."""
        return merge_styles(self.own.read(), self.team.read())

    def find(self, names: Sequence[str]) -> tuple[list[Style], list[str]]:
        """The styles of these names in order, and the names that there is no style of."""
        known = self.known if names else {}
        return [known[name] for name in names if name in known], [name for name in names if name not in known]


class StyleFile:
    """One `styles.csv`. Whoever writes reads it first and has it for themselves meanwhile, on every replica,
    so that of two at once neither is lost; whoever reads sees one whole file or the other."""

    # Of one process: its threads would wait for the file's lock by looking again and again.
    _here = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Style]:
        """Its styles by name; none where it cannot be read."""
        try:
            return read_styles(self._bytes().decode("utf-8", "replace"))
        except (OSError, InvalidRequest) as e:
            log.warning("styles unreadable", path=str(self._path), reason=str(e))
            return {}

    def add(self, style: Style) -> None:
        """A style more. Raises StyleExists, InvalidRequest, StylesBusy and NotSaved."""

        def added(styles: dict[str, Style]) -> dict[str, Style]:
            _see_that_it_is_new(styles, style.name)
            return {**styles, style.name: style}

        self._change(added, style)

    def change(self, name: str, style: Style) -> None:
        """Another style in the place of the one of this name. Raises NoSuchStyle, and as `add` does."""

        def changed(styles: dict[str, Style]) -> dict[str, Style]:
            _see_that_it_is_there(styles, name)
            if style.name != name:
                _see_that_it_is_new(styles, style.name)
            return {
                style.name if other == name else other: style if other == name else one
                for other, one in styles.items()
            }

        self._change(changed, style)

    def delete(self, name: str) -> None:
        """One style less. Raises NoSuchStyle, and as `add` does."""

        def without(styles: dict[str, Style]) -> dict[str, Style]:
            _see_that_it_is_there(styles, name)
            return {other: one for other, one in styles.items() if other != name}

        self._change(without)

    def _change(
        self, change: Callable[[dict[str, Style]], dict[str, Style]], said: Style | None = None
    ) -> None:
        if said is not None:
            _check(said)
        try:
            with self._locked():
                written = codecs.BOM_UTF8 + write_styles(change(self._strictly_read())).encode()
                if len(written) > MAX_BYTES:
                    raise InvalidRequest(
                        "prompt",
                        remark("style_bytes", "{n} bytes of styles", n=figure(len(written))),
                        remark("up_to_in_file", "up to {most} in one file", most=figure(MAX_BYTES)),
                    )
                write_whole(self._path, written)
        except OSError as e:
            raise NotSaved(f"the styles could not be kept: {e.strerror or e} ({self._path})") from e

    def _strictly_read(self) -> dict[str, Style]:
        """What is there, for a writer: what cannot be read would be lost. Raises NotSaved."""
        content = self._bytes()
        try:
            if len(content) > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
            return read_styles(content.decode())
        except (ValueError, InvalidRequest) as e:
            raise NotSaved(f"{self._path} cannot be read, so nothing is written over it: {e}") from e

    def _bytes(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return b""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._here:
            lock = Lock(self._path.with_name(f".{FILE}.lock"))
            until = time.monotonic() + _WAIT
            while not lock.try_take():
                if time.monotonic() > until:
                    raise StylesBusy(
                        remark("styles_busy", "somebody else is writing these styles; try again in a moment")
                    )
                time.sleep(_AGAIN)
            try:
                yield
            finally:
                lock.release()


def _check(style: Style) -> None:
    """Raise InvalidRequest for what no file can hold or no prompt can name."""
    name = style.name
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            "name",
            name[:MAX_NAME],
            remark("style_name", "1 to {most} printable characters, no space at either end", most=MAX_NAME),
        )
    if name.lower() == _NO_STYLE:
        raise InvalidRequest(
            "name", name, remark("other_name", "another name: it is A1111's word for no style")
        )
    for field, text in (("prompt", style.prompt), ("negative_prompt", style.negative_prompt)):
        if len(text) > MAX_TEXT or "\0" in text:
            raise InvalidRequest(
                field,
                remark("counted_characters", "{n} characters", n=len(text)),
                remark("up_to_text", "up to {most}, none of them of code 0", most=figure(MAX_TEXT)),
            )


def _see_that_it_is_new(styles: dict[str, Style], name: str) -> None:
    if name in styles:
        raise StyleExists(
            remark(
                "style_taken",
                "there is a style {name} already: change that one, or choose another name",
                name=repr(name),
            )
        )


def _see_that_it_is_there(styles: dict[str, Style], name: str) -> None:
    if name not in styles:
        raise NoSuchStyle(
            remark("no_such_style", "there is no style {name} in this file", name=repr(name[:MAX_NAME]))
        )
