"""A grid of pictures with words above its columns and beside its rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont
    from PIL.Image import Image

_BACKGROUND, _INK, _FAINT = "#ffffff", "#000000", "#999999"
# A1111's: letters go by the size of a picture, the words beside rows take three quarters of its width.
_LETTERS = 25
_SMALLEST = 8
_LONGEST = 2000


def labelled_grid(
    pictures: Sequence[Image],
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    margin: int = 0,
    legend: bool = True,
    faint: frozenset[tuple[str, int]] = frozenset(),
) -> Image:
    """Pictures row by row, each in a cell as large as the largest, `margin` pixels between them.

    Without words, or without `legend`, there is the grid alone. `faint` are words that are crossed out, as
    ("row", 2).
    """
    from PIL import Image, ImageDraw

    width, height = (max(one.size[axis] for one in pictures) for axis in (0, 1))
    font = _font(max((width + height) // _LETTERS, _SMALLEST))
    beside = width * 3 // 4 if legend and any(rows) else 0
    above_words = [_wrapped(words, font, width) for words in columns]
    beside_words = [_wrapped(words, font, beside) if beside else [] for words in rows]
    line = _line_height(font)
    above = max(len(words) for words in above_words) * line + line if legend and any(columns) else 0
    grid = Image.new(
        "RGB",
        (
            beside + len(columns) * width + margin * (len(columns) - 1),
            above + len(rows) * height + margin * (len(rows) - 1),
        ),
        _BACKGROUND,
    )
    for number, picture in enumerate(pictures):
        row, column = divmod(number, len(columns))
        grid.paste(picture, (beside + column * (width + margin), above + row * (height + margin)))
    ink = ImageDraw.Draw(grid)

    def write(words: list[str], middle_x: float, middle_y: float, color: str, *, crossed: bool) -> None:
        top = middle_y - len(words) * line / 2
        for number, text in enumerate(words):
            place = (middle_x, top + (number + 0.5) * line)
            ink.text(place, text, fill=color, font=font, anchor="mm")
            if crossed:
                half = font.getlength(text) / 2
                ink.line(((place[0] - half, place[1]), (place[0] + half, place[1])), fill=color, width=4)

    for kind, all_words, room in (("column", above_words, above), ("row", beside_words, beside)):
        for number, words in enumerate(all_words if room else ()):
            crossed = (kind, number) in faint
            if kind == "column":
                middle = beside + number * (width + margin) + width / 2, above / 2
            else:
                middle = beside / 2, above + number * (height + margin) + height / 2
            write(words, *middle, _FAINT if crossed else _INK, crossed=crossed)
    return grid


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - Pillow is built with FreeType
    return font


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    return int(font.size * 1.5)


def _wrapped(words: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines that fit into `width` pixels; a word that does not is a line by itself."""
    lines: list[str] = []
    for word in words[:_LONGEST].split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
