"""A saved picture as page and clients are told of it: where it is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from easel.studio.gallery.entry import PictureEntry, read_entry

_PROMPT = 200


class GalleryPicture(BaseModel):
    """An entry of the gallery. Addresses are relative to the page's."""

    id: str = Field(description="DAY/NAME")
    url: str
    small: str = Field(description="a WebP of at most 320 pixels a side")
    width: int = Field(description="pixels; 0 where the file cannot be read")
    height: int
    day: str = Field(description="YYYY-MM-DD")
    at: str = Field(description="when it was saved, ISO 8601 in UTC")
    prompt: str = Field("", description="its first 200 characters")
    seed: int | None = None
    checkpoint: str | None = None
    starred: bool = False
    boards: list[str] = Field(default_factory=list, description="ids of the owner's boards that it is on")


def picture_entry(path: Path, *, starred: bool = False, boards: Sequence[str] = ()) -> GalleryPicture | None:
    """The entry of a saved picture; None if it is gone. Reads the file's head, so call it from a thread that
    may wait for a disk."""
    try:
        entry = read_entry(path)
    except OSError:
        return None
    return described(path.parent.name, entry, starred=starred, boards=boards)


def described(
    day: str,
    entry: PictureEntry,
    *,
    starred: bool = False,
    boards: Sequence[str] = (),
    pictures: str = "files/pictures",
    small: str = "studio/gallery/small",
) -> GalleryPicture:
    """The entry of a picture that lies below the addresses `pictures` and `small`."""
    name = f"{day}/{entry.name}"
    return GalleryPicture(
        id=name,
        url=f"{pictures}/{name}",
        # A number can come again after its picture was deleted, and browsers keep small ones for good.
        small=f"{small}/{name}?at={round(entry.at * 1000)}",
        width=entry.width,
        height=entry.height,
        day=day,
        at=datetime.fromtimestamp(entry.at, UTC).isoformat(),
        prompt=entry.prompt[:_PROMPT],
        seed=entry.seed,
        checkpoint=entry.checkpoint or None,
        starred=starred,
        boards=list(boards),
    )
