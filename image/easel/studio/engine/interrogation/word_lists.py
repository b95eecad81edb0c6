"""Lists of words that a team lays beside its models, a line for each: artists, flavours, movements, mediums.
Of each list what fits a picture best is told behind the sentence, as A1111 does it with its `interrogate`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easel.models import Kind, ModelFile, Store
from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.interrogation.files import RANKER, RANKER_SOURCE, find_ranker
from easel.studio.engine.interrogation.question import Interrogation, Interrogator

FOLDER = "interrogate"
"""Below `models/`."""
_TOP = re.compile(r"\.top(\d+)(?:\.|$)")
_MOST_BYTES, _MOST_LISTS = 20_000_000, 50


@dataclass(frozen=True)
class WordList:
    """One list: `most` of its `words` are told."""

    name: str
    most: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class RankedWords:
    """What is told behind a sentence: `file` is the network that knows how well words fit a picture."""

    file: ModelFile
    lists: tuple[WordList, ...]


def ranked_words(store: Store, asked: Interrogation) -> tuple[RankedWords | None, str]:
    """What there is for a question, None where there are no lists or no network to go by them; and what is to
    be said of that, "" for nothing. Raises InvalidRequest for a list that cannot be read."""
    lists = tuple(_lists(store.root / FOLDER, asked)) if asked.by is Interrogator.CLIP else ()
    if not lists:
        return None, ""
    file = find_ranker(store)
    if file is not None:
        return RankedWords(file, lists), ""
    words = (
        "Nothing of the lists in {lists} was told: that takes a file in {folder}, {file} ({published}); "
        "`easel models add {source} --type image_encoder` fetches it."
    )
    return None, remark(
        "lists_unread", words, about="model", lists=f"models/{FOLDER}",
        folder=f"models/{Kind.IMAGE_ENCODER.folder}", file=RANKER.named, published=RANKER.published,
        source=RANKER_SOURCE,
    )  # fmt: skip


def _lists(folder: Path, asked: Interrogation) -> Iterator[WordList]:
    """Those that are not left out, by their names."""
    for path in sorted(folder.glob("*.txt"))[:_MOST_LISTS]:
        if path.stem in asked.skipped_lists:
            continue
        top = _TOP.search(path.stem)
        found = [line.strip() for line in _read(path).splitlines()]
        words = [line for line in found if line][: asked.list_limit or None]
        if words:
            yield WordList(path.stem, int(top[1]) if top else 1, tuple(words))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size <= _MOST_BYTES:
            return path.read_text("utf-8")
        why = remark("list_too_long", "is larger than {most} MB", most=_MOST_BYTES // 1_000_000)
    except (OSError, ValueError):
        why = remark("list_unreadable", "cannot be read as UTF-8")
    allowed = remark("a_word_list", "text with a word or phrase on each line; the file {why}", why=why)
    raise InvalidRequest(f"models/{FOLDER}", path.name, allowed)
