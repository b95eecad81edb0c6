"""The studio as its parts see it: the engine, and what it keeps for each person."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from easel.models import ModelFile, UnknownModel
from easel.studio.activity import Activity
from easel.studio.caller_options import CallerOptions
from easel.studio.engine import Drawn, Engine
from easel.studio.events import PageEvents
from easel.studio.gallery import Gallery
from easel.studio.infotext import Infotext
from easel.studio.job_log import JobLog
from easel.studio.library import Library
from easel.studio.metrics import StudioMetrics
from easel.studio.outputs import Outputs
from easel.studio.tasks import Tasks


@dataclass(frozen=True)
class Studio:
    """Everything that the API and the page share. One for each process."""

    engine: Engine
    outputs: Outputs
    options: CallerOptions
    endpoint: str = "studio"
    tasks: Tasks = field(default_factory=Tasks)
    activity: Activity = field(default_factory=Activity)
    events: PageEvents = field(default_factory=PageEvents)
    retention: float | None = None
    """Seconds after which pictures are deleted; None if they are kept."""

    @cached_property
    def library(self) -> Library:
        """Models in, from page and API. The API makes it at the start, so that there is one only."""
        return Library(self.engine.store, self.activity, endpoint=self.endpoint)

    @cached_property
    def gallery(self) -> Gallery:
        """Everybody's pictures. The API makes it at the start, so that it hears of the first one saved."""
        return Gallery(self.outputs)

    @cached_property
    def job_log(self) -> JobLog:
        """What the log says of jobs."""
        return JobLog(self.endpoint)

    @cached_property
    def metrics(self) -> StudioMetrics:
        """What Prometheus is told. Counts from the first time that it is asked for."""
        return StudioMetrics(self.engine, self.activity)

    @classmethod
    def at(cls, home: Path, endpoint: str, engine: Engine, *, retention: float | None = None) -> Studio:
        """The studio of one endpoint, with its folders below `home` (EASEL_HOME)."""
        outputs = Outputs(home / "outputs" / endpoint)
        made = cls(
            engine=engine,
            outputs=outputs,
            options=CallerOptions(outputs),
            endpoint=endpoint,
            retention=retention,
        )
        engine.observe(made.job_log)
        made.metrics  # noqa: B018 - counts from now on
        return made

    def hashed(self, drawn: Drawn) -> Drawn:
        """The picture, its files with their hashes.

        Those of checkpoint and VAE if they became known while it was drawn; those of LoRAs and embeddings are
        computed where they are missing, which takes up to a second the first time.
        """
        store = self.engine.store
        files = {file.path: file for file in (*store.checkpoints(), *store.vaes())}
        vae = drawn.vae and files.get(drawn.vae.path, drawn.vae)
        return replace(
            drawn,
            checkpoint=files.get(drawn.drawn_with.path, drawn.drawn_with),
            vae=vae,
            loras=tuple(replace(use, hash=self._hash(use.file.path, autov3=True)) for use in drawn.loras),
            embeddings=tuple(
                replace(use, hash=use.file.stem if use.bundled else self._hash(use.file.path))
                for use in drawn.embeddings
            ),
        )

    def _hash(self, path: Path, *, autov3: bool = False) -> str:
        """Twelve digits of a small file's hash, computed now if nobody did; "" if it is gone."""
        store = self.engine.store
        try:
            sha256 = store.hash_now(path)
            return store.record(path).autov3 if autov3 else sha256[:12]
        except OSError:
            return ""

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

    def note(self, owner: str) -> str:
        """What `owner` should know of the checkpoint that is drawn with, who chose none; "" for nothing."""
        chosen = self.options.read(owner).get("sd_model_checkpoint")
        return "" if chosen else self.engine.default_note()

    def checkpoint(self, owner: str) -> ModelFile:
        """What `owner` draws with when a request names nothing.

        Raises NoCheckpoint or UnknownModel: a choice that is gone is no reason to draw with another one.
        """
        chosen = self.options.read(owner).get("sd_model_checkpoint")
        return self.checkpoint_for(str(chosen) if chosen else None)

    def checkpoint_for(self, name: str | None) -> ModelFile:
        """The checkpoint of this name, or the default where there is none, as the store knows it now.

        Raises NoCheckpoint or UnknownModel.
        """
        store = self.engine.store
        if name:
            return store.find_checkpoint(name)
        default = self.engine.default_checkpoint()
        # Who took it at the start may not know its hash yet, and titles are compared by clients.
        return next((file for file in store.checkpoints() if file == default), default)
