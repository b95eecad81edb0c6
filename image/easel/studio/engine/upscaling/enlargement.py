"""What A1111's extras ask for: a picture made larger, its faces restored, and nothing drawn; or put into
words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine.errors import InvalidRequest, check_range
from easel.studio.engine.faces.face_files import FaceRestoration
from easel.studio.engine.imaging import MAX_PIXELS, upscaled_size
from easel.studio.engine.interrogation.question import Interrogation

MAX_FACTOR = 16.0
MAX_COVERED = 16_384


@dataclass(frozen=True)
class UpscalerTiles:
    """The pieces that an upscaler's file makes larger one after the other: A1111's `ESRGAN_tile` and
    `ESRGAN_tile_overlap`, or another `option` of its kind, in pixels of what goes in. `side` None is the
    device's own, 0 the largest that it gives."""

    side: int | None = None
    overlap: int = 8
    option: str = "ESRGAN_tile"

    def check(self) -> None:
        """Raise InvalidRequest for what nothing can be cut into."""
        if self.side:
            check_range(self.option, self.side, 16, 512)
        check_range(f"{self.option}_overlap", self.overlap, 0, 48)
        if self.side and self.overlap >= self.side:
            raise InvalidRequest(
                f"{self.option}_overlap",
                self.overlap,
                remark(
                    "less_than_option",
                    "less than {option}, which is {value}",
                    option=self.option,
                    value=self.side,
                ),
            )


# A1111's option for networks that have one of their own, by spandrel's names; ESRGAN's is for all others.
_OPTIONS = {"SwinIR": "SWIN_tile", "Swin2SR": "SWIN_tile", "DAT": "DAT_tile", "SCUNet": "SCUNET_tile"}


def tiles_of(tiles: Sequence[UpscalerTiles], architecture: str) -> UpscalerTiles:
    """Of those that a request has, one for each option, what counts for a network of spandrel's."""
    option = _OPTIONS.get(architecture, UpscalerTiles.option)
    return next((one for one in tiles if one.option == option), UpscalerTiles(option=option))


@dataclass(frozen=True, kw_only=True)
class Enlargement:
    """The picture `image` (a file's bytes, `width` × `height` pixels once it is opened) made larger by
    `upscaler`: `factor` times, or until it covers `cover` (pixels), and cut to that with `crop`.

    `second_upscaler` does the same, and `second_share` (0 to 1) of the two laid over each other is its.
    Then `faces` are restored; without an upscaler ("None") nothing else is done. With `sure` (0 to 1) it
    stays as it is, and the job tells where its faces are: those of which the detector is as sure. With
    `interrogation` too, and the job tells what is in it, in words.
    """

    image: bytes
    width: int
    height: int
    upscaler: str
    factor: float = 2.0
    cover: tuple[int, int] | None = None
    crop: bool = True
    second_upscaler: str = "None"
    second_share: float = 0.0
    faces: FaceRestoration | None = None
    sure: float | None = None
    interrogation: Interrogation | None = None

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be made."""
        for part in (self.faces, self.interrogation):
            if part is not None:
                part.check()
        if not self._has_work:
            raise InvalidRequest(
                "upscaler_1",
                self.upscaler,
                remark("an_upscaler", "an upscaler: without one nothing is to be done"),
            )
        if self.cover is None:
            check_range("upscaling_resize", self.factor, 0.05, MAX_FACTOR)
        else:
            check_range("upscaling_resize_w", self.cover[0], 1, MAX_COVERED)
            check_range("upscaling_resize_h", self.cover[1], 1, MAX_COVERED)
        check_range("extras_upscaler_2_visibility", self.second_share, 0, 1)
        across, down = upscaled_size((self.width, self.height), self.times)
        if across * down > MAX_PIXELS:
            field = "upscaling_resize" if self.cover is None else "upscaling_resize_w"
            raise InvalidRequest(
                field,
                remark("size_in_pixels", "{size} pixels", size=f"{across}x{down}"),
                allowed.pixels(MAX_PIXELS),
            )

    @property
    def _has_work(self) -> bool:
        return self.enlarges or any(one is not None for one in (self.faces, self.sure, self.interrogation))

    @property
    def enlarges(self) -> bool:
        """Whether an upscaler is at work."""
        return self.upscaler != "None"

    @property
    def times(self) -> float:
        """How many times larger the picture becomes."""
        if not self.enlarges:
            return 1.0
        if self.cover is None:
            return self.factor
        return max(self.cover[0] / self.width, self.cover[1] / self.height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what comes of it, in pixels."""
        if self.cover is not None and self.crop and self.enlarges:
            return self.cover
        return upscaled_size((self.width, self.height), self.times)

    @property
    def upscalers(self) -> tuple[tuple[str, str], ...]:
        """Those at work, each behind the request's field that names it."""
        if not self.enlarges:
            return ()
        second = (("upscaler_2", self.second_upscaler),)
        return ("upscaler_1", self.upscaler), *(second if self.second_at_work else ())

    @property
    def second_at_work(self) -> bool:
        """Whether the second upscaler has a share."""
        return self.second_upscaler != "None" and self.second_share > 0
