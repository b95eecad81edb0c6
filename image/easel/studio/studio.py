"""The studio as its parts see it: the engine, and what it keeps for each person."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from easel.models import ModelFile, UnknownModel
from easel.studio.defaults import Defaults
from easel.studio.engine import Drawn, Engine
from easel.studio.infotext import Infotext
from easel.studio.outputs import Outputs
from easel.studio.tasks import Tasks


@dataclass(frozen=True)
class Studio:
    """Everything that the API and the page share. One for each process."""

    engine: Engine
    outputs: Outputs
    defaults: Defaults
    endpoint: str = "studio"
    tasks: Tasks = field(default_factory=Tasks)

    @classmethod
    def at(cls, home: Path, endpoint: str, engine: Engine) -> Studio:
        """The studio of one endpoint, with its folders below `home` (EASEL_HOME)."""
        outputs = Outputs(home / "outputs" / endpoint)
        return cls(engine=engine, outputs=outputs, defaults=Defaults(outputs), endpoint=endpoint)

    def hashed(self, drawn: Drawn) -> Drawn:
        """The picture, its files with their hashes if those became known while it was drawn."""
        store = self.engine.store
        files = {file.path: file for file in (*store.checkpoints(), *store.vaes())}
        vae = drawn.vae and files.get(drawn.vae.path, drawn.vae)
        return replace(drawn, checkpoint=files.get(drawn.checkpoint.path, drawn.checkpoint), vae=vae)

    def checkpoint_of(self, found: Infotext) -> ModelFile | None:
        """The checkpoint that an infotext names, None if it names none. Raises UnknownModel."""
        error: UnknownModel | None = None
        for name in found.checkpoints:
            try:
                return self.engine.store.find_checkpoint(name)
            except UnknownModel as e:
                error = error or e
        if error:
            raise error
        return None

    def checkpoint(self, owner: str) -> ModelFile:
        """What `owner` draws with when a request names nothing.

        Raises NoCheckpoint or UnknownModel: a choice that is gone is no reason to draw with another one.
        """
        chosen = self.defaults.read(owner).get("sd_model_checkpoint")
        return self.engine.store.find_checkpoint(str(chosen)) if chosen else self.engine.default_checkpoint()
