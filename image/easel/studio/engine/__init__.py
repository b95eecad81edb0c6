"""From a checkpoint to pictures. Knows nothing of HTTP or pages.

    engine = Engine(Store(home / "models"))
    engine.start()
    job = engine.submit("ada", TextToImage(prompt="a red circle on blue", width=128, height=128))
    for progress in job.watch(preview=True):
        ...
    job.result()[0].image.save("circle.png")

`submit`, `Job.watch`/`Job.progress` and `Job.cancel` are the whole surface; `api` and `ui` use nothing else.
Importing this package is cheap: torch and diffusers come when the engine starts.
"""

from easel.studio.engine.embedding_tensors import names_for, vectors_of
from easel.studio.engine.engine import Engine
from easel.studio.engine.errors import (
    EngineError,
    InvalidRequest,
    NoCheckpoint,
    OutOfMemory,
    QueueFull,
    StepTooLong,
    Stopped,
    TooMuchForTheDevice,
    TooMuchWork,
    UnknownSampler,
)
from easel.studio.engine.extra_networks import EmbeddingUse, LoraUse, alias_of, find_lora, pickles
from easel.studio.engine.job import FINAL, Drawn, Job, JobState, ProgressReport, Watcher
from easel.studio.engine.job_queue import Status
from easel.studio.engine.limits import Limits
from easel.studio.engine.request import (
    MAX_BATCH_COUNT,
    MAX_BATCH_SIZE,
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    TextToImage,
)
from easel.studio.engine.samplers import SAMPLERS, SCHEDULE_TYPES, Sampler, ScheduleType, resolve

__all__ = [
    "FINAL",
    "MAX_BATCH_COUNT",
    "MAX_BATCH_SIZE",
    "MAX_SIDE",
    "MAX_STEPS",
    "MIN_SIDE",
    "SAMPLERS",
    "SCHEDULE_TYPES",
    "Drawn",
    "EmbeddingUse",
    "Engine",
    "EngineError",
    "InvalidRequest",
    "Job",
    "JobState",
    "Limits",
    "LoraUse",
    "NoCheckpoint",
    "OutOfMemory",
    "ProgressReport",
    "QueueFull",
    "Sampler",
    "ScheduleType",
    "Status",
    "StepTooLong",
    "Stopped",
    "TextToImage",
    "TooMuchForTheDevice",
    "TooMuchWork",
    "UnknownSampler",
    "Watcher",
    "alias_of",
    "find_lora",
    "names_for",
    "pickles",
    "resolve",
    "vectors_of",
]
