"""What is asked of a picture: words by which network, and how many, as A1111's `interrogate` asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from easel.studio.engine.errors import check_range

MOST_BEAMS = 16
MOST_TOKENS = 256
MOST_WORDS = 1_000_000


class Interrogator(StrEnum):
    """A network that puts pictures into words, by A1111's name for it."""

    CLIP = "clip"
    DEEPDANBOORU = "deepdanbooru"


@dataclass(frozen=True, kw_only=True)
class Interrogation:
    """One picture put into words by `by`.

    Of a sentence: `beams` are followed at once, and it has between `shortest` and `longest` tokens, the four
    that it begins with counted. Of tags: those of which the network is as sure as `threshold` (0 to 1), but
    for `left_out`; the surest first, or by the alphabet; with spaces for underscores; with brackets that are
    none of emphasis; with how sure it is of each (`ranks`).
    Of lists of words behind a sentence: the first `list_limit` of each (0 for all), but for those of
    `skipped_lists`.
    """

    by: Interrogator = Interrogator.CLIP
    beams: int = 1
    shortest: int = 24
    longest: int = 48
    threshold: float = 0.5
    by_alphabet: bool = True
    spaces: bool = True
    escaped: bool = True
    left_out: str = ""
    ranks: bool = False
    list_limit: int = 1500
    skipped_lists: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise InvalidRequest, by the option's name, for what cannot be."""
        check_range("interrogate_clip_num_beams", self.beams, 1, MOST_BEAMS)
        check_range("interrogate_clip_min_length", self.shortest, 1, MOST_TOKENS)
        check_range("interrogate_clip_max_length", self.longest, 1, MOST_TOKENS)
        check_range("interrogate_clip_dict_limit", self.list_limit, 0, MOST_WORDS)
        check_range("interrogate_deepbooru_score_threshold", self.threshold, 0, 1)
