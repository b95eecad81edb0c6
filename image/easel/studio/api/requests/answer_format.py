"""How an answer's pictures are written: A1111's options about files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from easel.studio import formats
from easel.studio.engine import InvalidRequest, check_range
from easel.studio.formats import PictureFormat, TooLargeForFormat
from easel.studio.png import FAST, SMALL
from easel.studio.png import encode as encode_png
from easel.studio.settings import number_in, yes_in

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class AnswerFormat:
    """The kind of file, its quality (1 to 100; `lossless` is WebP's), whether the infotext is in it, and
    whether pictures may be kept at all."""

    kind: PictureFormat = PictureFormat.PNG
    quality: int = formats.QUALITY
    lossless: bool = False
    signed: bool = True
    keeps: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """What options say. Raises InvalidRequest."""
        said = settings.get("samples_format") or PictureFormat.PNG.value
        try:
            kind = PictureFormat(said)
        except ValueError as e:
            raise InvalidRequest("samples_format", said, ", ".join(PictureFormat)) from e
        quality = number_in(settings, "jpeg_quality")
        if quality is not None:
            check_range("jpeg_quality", quality, 1, 100)
        return cls(
            kind,
            formats.QUALITY if quality is None else int(quality),
            yes_in(settings, "webp_lossless", default=False),
            yes_in(settings, "enable_pnginfo"),
            yes_in(settings, "samples_save"),
        )

    def file(
        self, image: Image, text: str, *, kept: bool, others: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[bytes, str]:
        """The file and its ending. What is kept is made smaller than what is sent only; what a format has no
        room for is a PNG. `others` are texts beside the infotext; only a PNG holds them."""
        text, others = (text, others) if self.signed else ("", {})
        if self.kind is not PictureFormat.PNG:
            try:
                return (
                    formats.encode(image, text, self.kind, quality=self.quality, lossless=self.lossless),
                    self.kind.value,
                )
            except TooLargeForFormat:
                pass
        level = SMALL if kept else FAST
        return encode_png(image, text, texts=others, compress_level=level), PictureFormat.PNG.value
