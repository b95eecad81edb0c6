"""Counts what the engine does."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from easel.models import ModelFile
from easel.studio.engine import Drawn, EngineObserver, Job, JobState, TimedCall

_WAITING = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_DRAWING = (0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_LOADING = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_ROWS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
KINDS = ("txt2img", "img2img", "inpaint", "upscaling", "interrogation")
OUTCOMES = {JobState.DONE: "finished", JobState.CANCELLED: "cancelled", JobState.FAILED: "failed"}


def kind_of(job: Job) -> str:
    """What a job draws, as A1111 calls it: one of `KINDS`."""
    enlargement = job.request.enlargement
    if enlargement is not None:
        return "upscaling" if enlargement.interrogation is None else "interrogation"
    source = job.request.source
    if source is None:
        return "txt2img"
    return "img2img" if source.mask is None else "inpaint"


def pixels_of(drawn: list[Drawn]) -> int:
    """Pixels of pictures."""
    return sum(one.image.width * one.image.height for one in drawn)


class EngineMetrics(EngineObserver):
    """Counters and histograms of `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "easel_jobs", "Jobs that ended, by outcome and by the error's class.", ("outcome", "error"),
            registry=registry,
        )  # fmt: skip
        self._accepted = Counter(
            "easel_jobs_accepted", "Jobs that came into the queue.", ("kind",), registry=registry
        )
        self._waiting = Histogram(
            "easel_job_waiting_seconds", "From a job's coming until its first picture begins.",
            buckets=_WAITING, registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "easel_job_seconds", "From a job's coming until it ends, drawn or not.", ("kind",),
            buckets=_DRAWING, registry=registry,
        )  # fmt: skip
        self._pictures = Counter("easel_pictures", "Pictures made.", ("kind",), registry=registry)
        self._pixels = Counter("easel_picture_pixels", "Pixels of them.", ("kind",), registry=registry)
        self._steps = Counter(
            "easel_steps",
            "Steps drawn, one for each picture in a call of the backbone: two for a second-order step.",
            registry=registry,
        )
        self._device = Counter(
            "easel_device_seconds", "Seconds that the device worked, by what it was called for.", ("call",),
            registry=registry,
        )  # fmt: skip
        self._calls = Counter("easel_device_calls", "Such calls.", ("call",), registry=registry)
        self._rows = Histogram(
            "easel_batch_rows", "Rows of a call of the backbone: one for each text of each picture in it.",
            buckets=_ROWS, registry=registry,
        )  # fmt: skip
        self._loads = Histogram(
            "easel_checkpoint_load_seconds", "Switches to another checkpoint, by outcome.", ("outcome",),
            buckets=_LOADING, registry=registry,
        )  # fmt: skip
        self._resident = Gauge(
            "easel_checkpoints_resident", "Checkpoints in memory: serving, or kept.", registry=registry
        )
        for kind in KINDS:  # there from the first scrape on, so that a rate has a beginning
            self._pictures.labels(kind)
            self._pixels.labels(kind)
            self._accepted.labels(kind)
        for outcome in ("finished", "cancelled"):
            self._jobs.labels(outcome, "")
        self._out_of_memory = self._jobs.labels("failed", "OutOfMemory")

    def accepted(self, job: Job) -> None:
        """Count it, and its end when it comes."""
        kind = kind_of(job)
        self._accepted.labels(kind).inc()
        job.future.add_done_callback(lambda _: self._ended(job, kind))

    def refused(self, error: Exception) -> None:
        """Count it by the error's class."""
        self._jobs.labels("refused", type(error).__name__).inc()

    def begun(self, job: Job) -> None:
        """Count what it waited."""
        self._waiting.observe(time.monotonic() - job.submitted)

    def called(self, call: TimedCall) -> None:
        """Count what the device did."""
        self._device.labels(call.kind).inc(call.seconds)
        self._calls.labels(call.kind).inc()
        if call.kind == "backbone":
            self._rows.observe(call.rows)
            self._steps.inc(len(call.jobs))

    def loaded(self, file: ModelFile, seconds: float, error: Exception | None) -> None:
        """Count it, without the file's name."""
        self._loads.labels("failed" if error else "loaded").observe(seconds)

    def resident(self, checkpoints: int) -> None:
        """Keep the number."""
        self._resident.set(checkpoints)

    def _ended(self, job: Job, kind: str) -> None:
        error = job.future.exception(timeout=0)
        self._jobs.labels(OUTCOMES[job.state], type(error).__name__ if error else "").inc()
        self._seconds.labels(kind).observe(time.monotonic() - job.submitted)
        drawn = [] if error else job.future.result(timeout=0)
        self._pictures.labels(kind).inc(len(drawn))
        self._pixels.labels(kind).inc(pixels_of(drawn))
