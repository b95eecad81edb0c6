"""The engine: takes requests from any thread, draws them on its own."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from easel.models import ModelError, ModelFile, Store
from easel.studio.engine.errors import NoCheckpoint
from easel.studio.engine.extra_networks import understand
from easel.studio.engine.inbox import Inbox, Status
from easel.studio.engine.job import Job, Watcher
from easel.studio.engine.limits import Limits
from easel.studio.engine.pace import Pace
from easel.studio.engine.request import TextToImage

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

# Ships with Easel so that there is a first picture; it serves only where there is nothing better.
STARTER = "easel-starter.safetensors"


class Engine:
    """Draws what is submitted, many pictures of many owners at once.

    `device` and `dtype` default to the GPU in half precision where there is one, else the CPU in single
    precision. `default_checkpoint` is what requests that name none get; without it, the store's first at the
    time of the start. `limits` are what one request and one person may ask for.
    """

    def __init__(
        self,
        store: Store,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        default_checkpoint: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self._device = device
        self._dtype = dtype
        self._named_default = default_checkpoint
        self._default: ModelFile | None = None
        self._inbox = Inbox(self.limits)
        self._pace = Pace(self.limits.step_seconds)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin importing torch and loading the default checkpoint, in the background."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Take no more work and end within `timeout` seconds; jobs under way end with Stopped."""
        self._inbox.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def settled(self, request: TextToImage) -> TextToImage:
        """The request as it would be drawn now: seeds drawn, the checkpoint by its name. Submitted again,
        here or elsewhere, it means the same pictures while the files are the same. Raises as `submit`
        does."""
        resolved = request.resolved()
        checkpoint = self._checkpoint(resolved.checkpoint)
        return replace(resolved, checkpoint=checkpoint.name)

    def submit(
        self,
        owner: str,
        request: TextToImage,
        *,
        only: tuple[int, ...] | None = None,
        watcher: Watcher | None = None,
    ) -> Job:
        """Queue a request; its pictures are drawn as their turn comes.

        `only` are the numbers of the pictures to draw, where it is not all of them. `watcher` hears of each
        picture as it comes.

        Raises at once what can be known at once: InvalidRequest, UnknownSampler, TooMuchWork, StepTooLong,
        NoCheckpoint, QueueFull, Stopped, and `easel.models.UnknownModel` for a checkpoint or VAE that is not
        there.
        """
        resolved = request.resolved()
        self.limits.check(resolved)
        checkpoint = self._checkpoint(resolved.checkpoint)
        self._pace.check(checkpoint, resolved, rows=1 if resolved.cfg_scale == 1 else 2)
        vae = self._vae(resolved.vae, checkpoint)
        asked = understand(
            resolved.prompt, resolved.negative_prompt, self.store, active=resolved.extra_networks
        )
        job = Job(
            owner=owner,
            request=resolved,
            checkpoint=checkpoint,
            vae=vae,
            asked=asked,
            only=only,
            watcher=watcher,
        )
        job.on_cancel(self._inbox.ring)
        job.future.set_running_or_notify_cancel()  # only `Job.cancel` ends a job
        self._inbox.put(job)
        return job

    def _checkpoint(self, name: str | None) -> ModelFile:
        return self.store.find_checkpoint(name) if name else self.default_checkpoint()

    def _vae(self, name: str | None, checkpoint: ModelFile) -> ModelFile | None:
        """The VAE file to draw with, None for the checkpoint's own, by A1111's words and its Automatic."""
        word = (name or "Automatic").strip().lower()
        if word == "none":
            return None
        if word == "automatic":
            called = {checkpoint.stem.lower(), f"{checkpoint.stem.lower()}.vae"}
            return next((file for file in self.store.vaes() if file.stem.lower() in called), None)
        return self.store.find_vae(str(name))

    def prefetch(self, owner: str, checkpoint: ModelFile) -> None:
        """Load the checkpoint that `owner` chose into main memory, if there is room and time for it.

        Their last choice counts, and after a moment only: who looks through a list fills no memory.
        What serves stays, whatever is wished for.
        """
        self._inbox.wishes.make(owner, checkpoint)
        self._inbox.ring()

    def jobs(self, owner: str) -> list[Job]:
        """An owner's jobs that are not finished, in the order they came."""
        return self._inbox.jobs(owner)

    def status(self) -> Status:
        """What the engine is doing now."""
        return self._inbox.status()

    def default_checkpoint(self) -> ModelFile:
        """What a request that names no checkpoint is drawn with. Raises NoCheckpoint where there is none.

        It stays the same while its file is there: a file that somebody adds must not change everyone's
        pictures.
        """
        if self._named_default:
            return self.store.find_checkpoint(self._named_default)
        known = self.store.checkpoints()
        if not known:
            raise NoCheckpoint(
                "there is no checkpoint; put a .safetensors file into models/Stable-diffusion and reload"
            )
        if self._default not in known:
            self._default = min(known, key=lambda file: file.name == STARTER)
        return self._default

    def _run(self) -> None:
        try:
            first: ModelFile | None = self.default_checkpoint()
        except (NoCheckpoint, ModelError) as error:
            log.warning("no default checkpoint", reason=str(error))
            first = None
        began = time.perf_counter()
        try:
            from easel.studio.engine.worker import Worker

            log.info("imported", seconds=round(time.perf_counter() - began, 3))
            # What importing has made stays for good. Looking through it took 0.7 s at every switch of
            # checkpoints, in which no other thread ran. Before the first checkpoint: that must not stay.
            gc.freeze()
            worker = Worker(self._inbox, self._pace, self._device, self._dtype)
        except Exception as error:
            self._inbox.say("failed", f"the engine did not start: {error}")
            raise
        worker.run(first)
