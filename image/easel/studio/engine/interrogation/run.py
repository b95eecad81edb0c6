"""A picture being put into words, in turns of the device: what it sees, and then word by word."""

from __future__ import annotations

import torch
from PIL import Image

from easel.studio.engine.interrogation.captioner import Captioner, sentence
from easel.studio.engine.interrogation.question import Interrogation
from easel.studio.engine.interrogation.ranking import Ranking
from easel.studio.engine.interrogation.tagger import Tagger, tag_words
from easel.studio.engine.interrogation.word_search import WordSearch
from easel.studio.engine.observer import CallKind

# A UNet of SD 1.5 does 0.2 gigaflops for one latent pixel; BLIP sees a picture by 110, and finds a word by
# 0.3 for each beam, of which a device does few at once. DeepDanbooru takes 80, 64 phrases of a list 100.
_SEEING, _WORD = 500, 10


class InterrogationRun:
    """One picture; `answer` is there once it is through. What `ranking` finds comes behind a sentence."""

    words = "interrogator"
    calls: CallKind = "interrogator"

    def __init__(
        self,
        image: Image.Image,
        network: Captioner | Tagger,
        asked: Interrogation,
        ranking: Ranking | None = None,
    ) -> None:
        self.answer = ""
        self._sentence: str | None = None
        self._ranking = ranking
        self._image, self._network, self._asked = image, network, asked
        self._search: WordSearch | None = None

    @property
    def cost(self) -> int:
        """The work of a turn of it, in latent pixels."""
        if self._search is None or self._sentence is not None:
            return _SEEING
        return _WORD * self._asked.beams

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 0.0 if self._search is None else min(1.0, self._search.length / self._asked.longest)

    @torch.inference_mode()
    def go_on(self) -> Image.Image | None:
        """Look at the picture, find the next word, or go on with the ranking. Behind the last the picture, as
        it came."""
        if isinstance(self._network, Tagger):
            self.answer = tag_words(self._network.look(self._image.convert("RGB")), self._asked)
            return self._image
        if self._search is None:
            self._search = self._network.search(self._network.see(self._image.convert("RGB")), self._asked)
            return None
        if self._sentence is None:
            tokens = self._search.step()
            if tokens is None:
                return None
            self._sentence = sentence(tokens)
            if self._ranking is not None:
                return None
        more = "" if self._ranking is None else self._ranking.step()
        if more is None:
            return None
        self.answer = self._sentence + more
        return self._image
