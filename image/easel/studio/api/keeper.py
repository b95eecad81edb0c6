"""Who keeps pictures of a request as they come, and has those that were drawn before this process lived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from easel.studio.engine import Drawn, TextToImage, Watcher

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class PictureFile(NamedTuple):
    """A picture as a file, by which ending, and the seed that its name tells."""

    content: bytes
    ending: str
    seed: int


FileOf: TypeAlias = Callable[[Drawn], PictureFile]


class Keeper(Protocol):
    """Pictures are numbered through all requests of a course, which asks for the same ones in the same order
    whenever it is run."""

    def missing(self, first: int, request: TextToImage) -> tuple[int, ...] | None:
        """Which pictures of a request are to be drawn, of which the first has the number `first`; None for
        all."""

    def watcher(self, first: int, file_of: FileOf) -> Watcher | None:
        """Who is told of them, and keeps `file_of` each."""

    def keep(self, number: int, file: PictureFile) -> None:
        """Keep one that no job of the engine makes. Raises NotSaved."""

    def kept(self, number: int) -> tuple[Image, str]:
        """One that was drawn before, and its infotext."""


class OnlyBegun:
    """Tells `watcher` that drawing begins, and of no picture: they are not finished when they are drawn."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    @property
    def keep_every(self) -> float:
        """As any other's."""
        return self._watcher.keep_every

    def begun(self) -> None:
        """The first of them is about to be drawn."""
        self._watcher.begun()

    def drawn(self, picture: Drawn) -> None:
        """One is drawn, and not finished."""

    def reached(self, index: int, first: int, answers: Sequence[Tensor]) -> None:
        """Kept as any other's."""
        self._watcher.reached(index, first, answers)

    def answers(self, index: int) -> Sequence[Tensor]:
        """Those that were kept."""
        return self._watcher.answers(index)


class NoKeeper:
    """Pictures are nobody's until all of them are there."""

    def missing(self, first: int, request: TextToImage) -> None:
        """All of them."""

    def watcher(self, first: int, file_of: FileOf) -> None:
        """Nobody."""

    def keep(self, number: int, file: PictureFile) -> None:
        """It is in the answer."""

    def kept(self, number: int) -> tuple[Image, str]:
        """None was."""
        raise LookupError(number)
