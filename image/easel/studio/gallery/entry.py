"""What a listing says of a picture, read from the head of its file."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unicodedata import normalize

from easel.studio.infotext import parse
from easel.studio.png import NotAPicture, read_texts

LONGEST_PROMPT = 8000
"""Characters of a prompt that are searched."""
_LONGEST_NAME = 200
_SEED = re.compile(r"-([0-9]+)\.")


@dataclass(frozen=True, slots=True)
class PictureEntry:
    """`at` is when it was saved, in Unix seconds; sides are 0 where the file cannot be read."""

    name: str
    at: float
    width: int
    height: int
    prompt: str
    seed: int
    checkpoint: str

    def says(self, words: list[str]) -> bool:
        """Whether each of `words`, as `words_of` makes them, is in its prompt, checkpoint or seed."""
        said = folded(f"{self.prompt}\n{self.checkpoint}\n{self.seed}")
        return all(word in said for word in words)


def words_of(text: str) -> list[str]:
    """What is looked for: words in any order and any case, those in quotes together."""
    return [folded(quoted or plain) for quoted, plain in re.findall(r'"([^"]+)"|(\S+)', text)]


def folded(text: str) -> str:
    """The same for what reads the same: any case, and letters composed in one way."""
    return text.casefold() if text.isascii() else normalize("NFKC", text).casefold()


def read_entry(path: Path) -> PictureEntry:
    """Raises OSError if the file is not there."""
    try:
        with path.open("rb") as file:
            size, text = _head(file)
    except NotAPicture:
        size, text = (0, 0), ""
    return _entry(path.name, path.stat().st_mtime, size, text)


def entry_of(path: Path, file: bytes) -> PictureEntry:
    """The same of a picture that was saved at this moment. Raises OSError if it is gone already."""
    try:
        size, text = _head(io.BytesIO(file))
    except NotAPicture:
        size, text = (0, 0), ""
    return _entry(path.name, path.stat().st_mtime, size, text)


def _head(file: IO[bytes]) -> tuple[tuple[int, int], str]:
    """Width and height, and the infotext. Of a PNG that Easel wrote nothing behind the first kilobytes is
    read: ten thousand are listed for the first time. Raises NotAPicture."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            text = image.info.get("parameters") if image.format == "PNG" else None
            size = image.size
    except Exception as e:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise NotAPicture(f"is a broken picture: {type(e).__name__}: {e}") from e
    if not isinstance(text, str):
        file.seek(0)
        text = read_texts(file.read()).get("parameters", "")
    return size, text


def _entry(name: str, at: float, size: tuple[int, int], text: str) -> PictureEntry:
    found = parse(text)
    seed = _SEED.search(name)
    return PictureEntry(
        name=name,
        at=round(at, 3),
        width=size[0],
        height=size[1],
        prompt=found.prompt[:LONGEST_PROMPT],
        seed=int(seed[1]) if seed else 0,
        checkpoint=found.parameters.get("Model", "")[:_LONGEST_NAME],
    )
