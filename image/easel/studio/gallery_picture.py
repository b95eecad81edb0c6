"""A saved picture as page and clients are told of it: where it is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from easel.studio.infotext import parse
from easel.studio.png import NotAPicture, read_texts

_PROMPT = 200


class GalleryPicture(BaseModel):
    """An entry of the gallery. Addresses are relative to the page's."""

    id: str = Field(description="DAY/NAME")
    url: str
    small: str = Field(description="a WebP of at most 320 pixels a side")
    width: int
    height: int
    day: str = Field(description="YYYY-MM-DD")
    at: str = Field(description="when it was saved, ISO 8601 in UTC")
    prompt: str = Field("", description="its first 200 characters")
    seed: int | None = None
    checkpoint: str | None = None
    starred: bool = False
    boards: list[str] = []


def picture_entry(path: Path, *, starred: bool = False, boards: Sequence[str] = ()) -> GalleryPicture | None:
    """The entry of a saved picture; None if it is gone, or is no picture. Reads a file's headers, so call it
    from a thread that may wait for a disk."""
    from PIL import Image, UnidentifiedImageError

    try:
        saved = path.stat().st_mtime
        with Image.open(path) as image:  # headers only: no pixel is decoded
            width, height = image.size
            text = image.info.get("parameters") if image.format == "PNG" else None
        if not isinstance(text, str):
            text = read_texts(path.read_bytes()).get("parameters", "")
    except (OSError, NotAPicture, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError):
        return None
    found = parse(text)
    said, day = found.parameters, path.parent.name
    name = f"{day}/{path.name}"
    seed = said.get("Seed", "")
    return GalleryPicture(
        id=name,
        url=f"files/pictures/{name}",
        small=f"studio/gallery/small/{name}",
        width=width,
        height=height,
        day=day,
        at=datetime.fromtimestamp(saved, UTC).isoformat(),
        prompt=found.prompt[:_PROMPT],
        seed=int(seed) if seed.isascii() and seed.isdigit() else None,
        checkpoint=said.get("Model"),
        starred=starred,
        boards=list(boards),
    )
