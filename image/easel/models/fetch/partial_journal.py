"""What lies beside a file that is on its way: its bytes, the journal of which are there, and the lock."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


def part_of(target: Path) -> Path:
    """Where the bytes of `target` gather."""
    return target.with_name(f".{target.name}.part")


def journal_of(target: Path) -> Path:
    """Where it stands which of them are there."""
    return target.with_name(f".{target.name}.part.json")


def lock_of(target: Path) -> Path:
    """What says that somebody is at it."""
    return target.with_name(f".{target.name}.lock")


@dataclass(frozen=True, slots=True)
class PartialJournal:
    """What a journal says: of which source, and which bytes are there."""

    key: str
    size: int | None
    etag: str
    host: str
    ranges: tuple[tuple[int, int], ...]


def read_journal(target: Path) -> PartialJournal | None:
    """What the journal of `target` says; None if there is none that can be trusted."""
    try:
        found = json.loads(journal_of(target).read_text())
        ranges = tuple((int(begin), int(end)) for begin, end in found["ranges"])
        size = found["size"]
        if not (size is None or isinstance(size, int)) or any(not 0 <= a <= b for a, b in ranges):
            return None
        if size is not None and any(end > size for _, end in ranges):
            return None
        return PartialJournal(str(found["key"]), size, str(found["etag"]), str(found["host"]), ranges)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_journal(target: Path, journal: PartialJournal) -> None:
    """Put it in the place of the one before. Raises OSError."""
    # Under a name of its own, not a random one: who is killed here leaves nothing that nobody knows.
    new = journal_of(target).with_suffix(".new")
    new.write_text(json.dumps(asdict(journal)))
    os.replace(new, journal_of(target))


def discard_part(target: Path) -> None:
    """Take away what has arrived of `target`, its journal first: bytes without one count for nothing."""
    journal_of(target).unlink(missing_ok=True)
    journal_of(target).with_suffix(".new").unlink(missing_ok=True)
    part_of(target).unlink(missing_ok=True)
