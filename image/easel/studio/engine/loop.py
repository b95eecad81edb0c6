"""The device side: the checkpoint that serves, the pictures under way, and one turn of the loop at a time."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import structlog
import torch
from PIL.Image import Image

from easel.models import FileError, ModelFile
from easel.studio.engine.adapters import Adapters
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.checkpoint_cache import CheckpointCache
from easel.studio.engine.conditioning import PromptEncoder, skips_layers
from easel.studio.engine.decode import PIECE_SECONDS, TOGETHER, Decoder, Decoding
from easel.studio.engine.embeddings import Embedding, Embeddings
from easel.studio.engine.errors import OutOfMemory, StepTooLong
from easel.studio.engine.extra_networks import EmbeddingUse
from easel.studio.engine.fair_share import FairShare
from easel.studio.engine.job import Job
from easel.studio.engine.loading import load_checkpoint
from easel.studio.engine.memory import TooLarge, available, give_back
from easel.studio.engine.picture import Picture, Undecoded, call_unet
from easel.studio.engine.step_times import WARM_UP, StepTimes
from easel.studio.engine.unet_batch import UNetBatchSize
from easel.studio.engine.vaes import Vaes
from easel.studio.families import Family

log = structlog.get_logger(__name__)

Report = Callable[[str, float], None]


class Turned(NamedTuple):
    """What a turn did: pictures that made a step, and images of those that are through."""

    stepped: list[Picture]
    images: list[tuple[Picture, Image]]


class Loop:
    """Draws pictures of one checkpoint at a time, on one device. Used from the engine's thread only."""

    _adapters: Adapters

    def __init__(
        self, step_times: StepTimes, device: str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        self._step_times = step_times
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        self.checkpoint: Checkpoint | None = None
        self.active: list[Picture] = []
        self._fair_share = FairShare()
        self._batch_size = UNetBatchSize()
        self._decodings: dict[Hashable, tuple[Decoding, list[Picture]]] = {}
        self._numbers = itertools.count()
        self._extra: dict[tuple[int, int], torch.Tensor] = {}
        self._cache = CheckpointCache(self.device, self.dtype)

    @property
    def serving(self) -> ModelFile | None:
        """The file of the checkpoint that serves now."""
        return self.checkpoint.file if self.checkpoint else None

    def drawing(self) -> Counter[str]:
        """Pictures under way by owner."""
        return Counter(picture.owner for picture in self.active)

    def room(self) -> bool:
        """Whether a wider call would still pay, so that an owner's next picture may join."""
        if not self.active:
            return True
        return len(self.active) < max(self._batch_size.limit(kind) for kind in {p.kind for p in self.active})

    def switch(self, file: ModelFile, report: Report | None = None) -> None:
        """Serve another checkpoint. What goes wrong raises, and the old one goes on serving.

        The old one stays in memory until the new one is whole. Only where both do not fit does it leave
        first; should the new one then fail, it is loaded again.
        """
        old = self.checkpoint
        try:
            new = self._take(file, report)
        except TooLarge:
            if old is None or not file.path.exists():
                raise
            log.info("switch", step="unload first", old=old.file.name, new=file.name)
            self._serve(None)
            old_file = old.file
            if self.device.type != "cpu":
                self._cache.keep(old)
            del old
            try:
                new = self._take(file, report)
            except Exception:
                self._serve(self._take(old_file, report))
                raise
            self._serve(new)
            return
        self._serve(new)
        if old is not None:
            self._cache.keep(old)

    def prefetch(self, file: ModelFile) -> bool:
        """Begin to load a checkpoint that will be wanted, beside the drawing. Never raises for the file.

        False if another one is being loaded: ask again.
        """
        return file == self.serving or self._cache.prefetch(file)

    def _take(self, file: ModelFile, report: Report | None) -> Checkpoint:
        """From memory if it is kept there, else from the disk. What is kept goes before what serves."""
        while True:
            try:
                return self._cache.take(file, report) or self._load(file, report)
            except (TooLarge, torch.OutOfMemoryError) as error:
                if self.device.type == "cpu" and self._cache.drop_oldest():
                    continue
                if isinstance(error, TooLarge):
                    raise
                # the card has no room for a copy that memory has
                raise TooLarge(file.name, file.size, available(self.device), self.device) from None

    def _load(self, file: ModelFile, report: Report | None) -> Checkpoint:
        return load_checkpoint(file, device=self.device, dtype=self.dtype, report=report)

    def _serve(self, checkpoint: Checkpoint | None) -> None:
        if self.checkpoint is not None:
            self._adapters.clear()  # the one that goes may be kept, as its file has it
        self.checkpoint = checkpoint
        self._extra.clear()
        if checkpoint is not None:
            self._encoder = PromptEncoder(checkpoint)
            self._decoder = Decoder(checkpoint)
            self._vaes = Vaes(checkpoint)
            self._adapters = Adapters(checkpoint)
            self._embeddings = Embeddings(checkpoint)
        else:
            del self._encoder, self._decoder, self._vaes, self._adapters, self._embeddings
        give_back(self.device)

    @torch.inference_mode()
    def begin(self, picture: Picture) -> None:
        """Let a picture join at the next turn. Raises a FileError for a LoRA or VAE that cannot be used,
        InvalidRequest for a prompt of too many tokens, StepTooLong."""
        assert self.checkpoint is not None  # noqa: S101 - pictures begin only on a checkpoint
        job = picture.job
        # A VAE that cannot be read should say so before the work, and one that is taken away meanwhile stays.
        picture.vae = self._vaes.get(job.vae)
        in_use = {use.file for one in self.active for use in one.job.asked.loras}
        for words in (*self.checkpoint.notes, *self._adapters.need(job.asked.loras, in_use)):
            job.note(words)
        self._note_clip_skip(job, self.checkpoint.family)
        with self._adapters.at_work(job.asked.loras):
            picture.begin(self.checkpoint, self._encoder, self._embeddings_of(job))
        if picture.pixels > self.checkpoint.family.native**2:
            self._probe(picture)
            self._see_that_it_is_short(picture)
        self.active.append(picture)

    def _note_clip_skip(self, job: Job, family: Family) -> None:
        request = job.request
        counts = [
            skips_layers(family, index, clip_l_skip=request.sdxl_clip_l_skip)
            for index in range(len(family.text_encoders))
        ]
        if request.clip_skip > 1 and not any(counts):
            option = "; A1111's option sdxl_clip_l_skip changes that" if len(counts) > 1 else ""
            job.note(
                f"Clip skip {request.clip_skip} counts for nothing with {family.name}, as in A1111: it is "
                f"read at the layer that it was trained on{option}."
            )

    def _probe(self, picture: Picture) -> None:
        """Time the checkpoint at its own size, where nothing is known of it yet: a first call of a much
        larger one might take minutes."""
        assert self.checkpoint is not None  # noqa: S101 - see `begin`
        if self._step_times.seconds(self.checkpoint.file, picture.cost) is not None:
            return
        family, unet = self.checkpoint.family, self.checkpoint.unet
        side = family.native // family.downscale
        latents = torch.zeros((1, unet.config.in_channels, side, side), device=self.device)
        added = {name: rows[:1] for name, rows in picture.added.items()}
        for _ in range(WARM_UP + 1):
            began = time.perf_counter()
            unet(
                latents.to(self.checkpoint.dtype),
                picture.timestep.to(self.device),
                encoder_hidden_states=picture.attended[:1],
                return_dict=False,
                **({"added_cond_kwargs": added} if added else {}),
            )
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self._record(side * side, time.perf_counter() - began)

    def _record(self, cost: int, seconds: float) -> None:
        assert self.checkpoint is not None  # noqa: S101 - see `begin`
        family = self.checkpoint.family
        self._step_times.record(self.checkpoint.file, family.native, family.downscale, cost, seconds)

    def _see_that_it_is_short(self, picture: Picture) -> None:
        """Raise StepTooLong for a picture whose step would keep the device from everybody else."""
        assert self.checkpoint is not None  # noqa: S101 - see `begin`
        try:
            self._step_times.check(self.checkpoint.file, picture.job.request, picture.attended.shape[0])
        except StepTooLong as error:
            raise StepTooLong(str(error), picture.job.id) from None

    def _embeddings_of(self, job: Job) -> dict[str, Embedding]:
        """The embeddings that a job names, by names in lower case; of one name, the first that fits.

        One that cannot be used is words like any other, with a note.
        """
        found: dict[str, tuple[EmbeddingUse, Embedding]] = {}
        refused: dict[str, FileError] = {}
        twice: dict[str, ModelFile] = {}
        for use in job.asked.embeddings:
            name = use.name.lower()
            try:
                one = self._embeddings.get(use)
            except FileError as error:
                refused.setdefault(name, error)
                continue
            if found.setdefault(name, (use, one))[0] is not use:
                twice.setdefault(name, use.file)
        texts = (job.asked.prompt, job.asked.negative_prompt)
        meant = self._encoder.mentioned(texts, found)
        unmet = self._encoder.mentioned(texts, [name for name in refused if name not in found])
        for name in sorted(unmet):
            job.note(f"{refused[name]}. Its name was read as plain words.")
        for name in sorted(meant):
            use, one = found[name]
            if one.left_out:
                job.note(f"{use.file.name}: {', '.join(one.left_out)[:200]} in it was left out.")
            if name in twice:
                other = twice[name].name
                job.note(f"Two embeddings are called {use.name}: {use.file.name} was taken, {other} not.")
        job.embeddings = tuple(found[name][0] for name in found if name in meant)
        return {name: found[name][1] for name in found if name in meant}

    @torch.inference_mode()
    def turn(self, only: Job | None = None) -> Turned:
        """One piece of work for the pictures whose turn it is: a UNet call, or a stretch of decoding. `only`:
        those of this job have it, if there are any.

        Raises OutOfMemory when the device has no room for a single one of them, and StepTooLong.
        """
        turns = [picture for picture in self.active if picture.job is only] or self.active
        chosen = self._fair_share.choose(turns, self._bucket)
        decoding = chosen[0].finished
        done = Turned([], self._decode(chosen)) if decoding else Turned(self._step(chosen), [])
        for picture in chosen:  # oldest turn first
            self.active.remove(picture)
            self.active.append(picture)
        return done

    def stop_here(self, picture: Picture) -> None:
        """Let a picture end as it is; it is decoded in its turn."""
        if not picture.finished:
            picture.stop_here()
            picture.await_decoding()

    def _bucket(self, kind: Hashable, available: int) -> int:
        if isinstance(kind, Undecoded):
            return max(1, min(available, TOGETHER // kind.latent_pixels))
        return available if kind in self._decodings else self._batch_size.bucket(kind, available)

    def _step(self, chosen: list[Picture]) -> list[Picture]:
        """One UNet call. Returns those it stepped: nobody, where all of them at once were too many."""
        assert self.checkpoint is not None  # noqa: S101 - see `begin`
        first = chosen[0]
        kind = first.kind
        began = time.perf_counter()
        measuring = self.device.type == "cuda" and not self._batch_size.measured(kind, len(chosen))
        try:
            with _memory_errors(first), self._adapters.at_work(first.job.asked.loras):
                call_unet(self.checkpoint, chosen, self._extra_channels(first))
        except OutOfMemory:
            if len(chosen) == 1:
                raise
            self._batch_size.out_of_memory(kind, len(chosen))
            log.warning("narrower", pictures=len(chosen), reason="out of memory")
            return []
        if measuring:
            torch.cuda.synchronize()
        if self.device.type != "cuda" or measuring:
            seconds = time.perf_counter() - began
            self._batch_size.record(kind, len(chosen), seconds)
            if len(chosen) == 1:
                self._record(first.cost, seconds)
                # Once, as soon as it was measured: what draws well is not ended for a neighbour's noise.
                if first.position == WARM_UP + 1:
                    self._see_that_it_is_short(first)
        for picture in chosen:
            if picture.finished:
                picture.await_decoding()
        return chosen

    def _decode(self, chosen: list[Picture]) -> list[tuple[Picture, Image]]:
        """A stretch of decoding. The images of those who are through."""
        kind = chosen[0].kind
        try:
            with _memory_errors(chosen[0]):
                if kind not in self._decodings:
                    kind = next(self._numbers)
                    latents = [picture.latents for picture in chosen]
                    self._decodings[kind] = Decoding(self._decoder, latents, chosen[0].vae), chosen
                    for picture in chosen:
                        picture.kind = kind
                images = self._decodings[kind][0].go_on(PIECE_SECONDS)
        except Exception:
            self._decodings.pop(kind, None)
            for picture in chosen:
                picture.await_decoding(alone=True)
            raise
        if images is None:
            return []
        _, group = self._decodings.pop(kind)
        return [(one, image) for one, image in zip(group, images, strict=True) if one in self.active]

    @torch.inference_mode()
    def preview(self, picture: Picture) -> Any:
        """A look at a picture under way."""
        return self._decoder.preview(picture.estimate(), picture.vae)

    def drop(self, picture: Picture) -> None:
        """A picture leaves, finished or not."""
        if picture in self.active:
            self.active.remove(picture)
        if not any(one.kind == picture.kind for one in self.active):
            self._decodings.pop(picture.kind, None)

    def _extra_channels(self, picture: Picture) -> torch.Tensor | None:
        """What an inpainting UNet wants where there is nothing to inpaint: all masked, over plain grey."""
        assert self.checkpoint is not None  # noqa: S101 - see `begin`
        if self.checkpoint.unet.config.in_channels == picture.latents.shape[1]:
            return None
        height, width = picture.latents.shape[-2:]
        vae = self._vaes.get(picture.job.vae)
        if (height, width) not in self._extra:
            scale = self.checkpoint.family.downscale
            grey = torch.full((1, 3, height * scale, width * scale), 0.5, device=self.device, dtype=vae.dtype)
            masked = vae.encode(grey).latent_dist.mode() * vae.config.scaling_factor
            mask = torch.ones((1, 1, height, width), device=self.device)
            self._extra[height, width] = torch.cat([mask, masked.float()], dim=1)
        return self._extra[height, width]


@contextmanager
def _memory_errors(picture: Picture) -> Iterator[None]:
    """Out of memory in the words of somebody who has to do something about it."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        # on a CPU torch raises a plain RuntimeError
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        request = picture.job.request
        raise OutOfMemory(
            f"no memory for a picture of {request.width}x{request.height}; "
            "draw it smaller, or give the endpoint a shape with more memory",
            picture.job.id,
        ) from error
