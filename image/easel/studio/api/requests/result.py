"""What comes of a request: pictures that were drawn, and such as were put together of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.engine import Drawn, Interrogation

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ResultPicture:
    """A picture of an answer, and its infotext. `drawn` is what it was drawn as, or the first of those that
    it was put together of. `number` is its own among all that a course asked for, -1 for what was put
    together; `kept` is one that was there before."""

    image: Image
    text: str
    drawn: Drawn
    number: int = -1
    kept: bool = False


@dataclass(frozen=True)
class Result:
    """What an answer holds: grids first, as A1111 sends them. Grids are sent and not kept.

    Without `send_drawn` the pictures that the grids are made of are kept and listed, and not sent.
    """

    drawn: Sequence[ResultPicture]
    grids: Sequence[ResultPicture] = field(default=())
    send_drawn: bool = True

    @property
    def listed(self) -> list[ResultPicture]:
        """All of them, in the answer's order."""
        return [*self.grids, *self.drawn]


@dataclass(frozen=True)
class PictureToEnlarge:
    """A picture that a course wants `factor` times as large, by an upscaler's name."""

    image: Image
    upscaler: str
    factor: float


@dataclass(frozen=True)
class PictureToInterrogate:
    """A picture's file that a course wants in words; its size in pixels."""

    file: bytes
    size: tuple[int, int]
    asked: Interrogation


class Drafts(list[DrawingRequest]):
    """Requests whose pictures are not finished when they are drawn: the course says so of each."""


class Touches(list[DrawingRequest]):
    """Requests that draw over pictures of other requests. They are none of the answer's, and one that fails
    is told and costs nothing else."""


@dataclass(frozen=True)
class FacesToFind:
    """Pictures of which a course wants to know where their faces are, of which the detector is as `sure`."""

    images: Sequence[Image]
    sure: float


@dataclass(frozen=True)
class FinishedPictures:
    """Pictures of drafts, as they are in the answer."""

    pictures: Sequence[ResultPicture]


Step: TypeAlias = (
    list[DrawingRequest] | PictureToEnlarge | PictureToInterrogate | FacesToFind | FinishedPictures
)
Course: TypeAlias = Generator[Step, Any, Result]
"""How a request is drawn: asks for requests to be drawn, is given the pictures of each (a list of lists of
ResultPicture), or for a picture to be enlarged or put into words, and is given that, or for faces (of each
picture a list of FaceArea); and says in the end what the answer is.
Where somebody interrupts, pictures are missing: of some requests there are none."""
