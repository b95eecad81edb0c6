"""Which files of the store a job still needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from easel.models import ModelFile
from easel.studio.engine.job import Job


def wanted_paths(job: Job) -> set[Path]:
    """Where they lie."""
    files = [file for file in _files(job) if file is not None]
    return {one.path for file in files for one in (file, *file.encoders)}


def _files(job: Job) -> Iterator[ModelFile | None]:
    yield from (job.checkpoint, job.vae, job.hires_checkpoint, job.refiner, job.interrogator)
    yield job.ranked_words.file if job.ranked_words is not None else None
    yield from job.upscalers.values()
    yield from job.control_files
    for prompts in job.prompts:
        for asked in (prompts.first, prompts.second):
            yield from (one.file for one in asked.loras)
            yield from (one.file for one in asked.embeddings)
