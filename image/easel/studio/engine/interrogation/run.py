"""A picture being put into words, in turns of the device: what it sees, and then word by word."""

from __future__ import annotations

import torch
from PIL import Image

from easel.studio.engine.interrogation.captioner import Captioner, sentence
from easel.studio.engine.interrogation.question import Interrogation
from easel.studio.engine.interrogation.tagger import Tagger, tag_words
from easel.studio.engine.interrogation.word_search import WordSearch
from easel.studio.engine.observer import CallKind

# A UNet of SD 1.5 does 0.2 gigaflops for one latent pixel; BLIP sees a picture by 110, and finds a word by
# 0.3 for each beam, of which a device does few at once. DeepDanbooru takes 80.
_SEEING, _WORD = 500, 10


class InterrogationRun:
    """One picture; `answer` is there once it is through."""

    words = "interrogator"
    calls: CallKind = "interrogator"

    def __init__(self, image: Image.Image, network: Captioner | Tagger, asked: Interrogation) -> None:
        self.answer = ""
        self._image, self._network, self._asked = image, network, asked
        self._search: WordSearch | None = None

    @property
    def cost(self) -> int:
        """The work of a turn of it, in latent pixels."""
        return _SEEING if self._search is None else _WORD * self._asked.beams

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 0.0 if self._search is None else min(1.0, self._search.length / self._asked.longest)

    @torch.inference_mode()
    def go_on(self) -> Image.Image | None:
        """Look at the picture, or find the next word. Behind the last the picture, as it came."""
        if isinstance(self._network, Tagger):
            self.answer = tag_words(self._network.look(self._image.convert("RGB")), self._asked)
            return self._image
        if self._search is None:
            self._search = self._network.search(self._network.see(self._image.convert("RGB")), self._asked)
            return None
        tokens = self._search.step()
        if tokens is None:
            return None
        self.answer = sentence(tokens)
        return self._image
