"""A picture's best words, in turns of the device: first what is seen in it, then lists that are read piece by
piece where they were not read before."""

from __future__ import annotations

from PIL import Image
from torch import Tensor, cat

from easel.studio.engine.interrogation.ranker import AT_ONCE, Ranker, best
from easel.studio.engine.interrogation.word_lists import WordList


class Ranking:
    """Of one picture (RGB); `ranks` tells how well each fits, too."""

    def __init__(
        self, image: Image.Image, network: Ranker, lists: tuple[WordList, ...], *, ranks: bool
    ) -> None:
        self._image, self._network, self._lists, self._ranks = image, network, lists, ranks
        self._seen: Tensor | None = None
        self._meant: list[Tensor] = []
        self._pieces: list[Tensor] = []

    def step(self) -> str | None:
        """Go on; behind the last turn the words, each with a comma before it."""
        if self._seen is None:
            self._seen = self._network.see(self._image)
            return None
        while len(self._meant) < len(self._lists):
            if not self._read(self._lists[len(self._meant)].words):
                return None
        seen, both = self._seen, zip(self._lists, self._meant, strict=True)
        found = [pair for one, meant in both for pair in best(seen, meant, one)]
        return "".join(f", ({word}:{sure:.3f})" if self._ranks else f", {word}" for word, sure in found)

    def _read(self, words: tuple[str, ...]) -> bool:
        """Whether that took nothing: they were known. If not, one piece of them was read."""
        known = self._network.known(words)
        if known is not None:
            self._meant.append(known)
            self._pieces = []
            return True
        done = len(self._pieces) * AT_ONCE
        self._pieces.append(self._network.read(words[done : done + AT_ONCE]))
        if done + AT_ONCE >= len(words):
            self._meant.append(cat(self._pieces))
            self._network.keep(words, self._meant[-1])
            self._pieces = []
        return False
