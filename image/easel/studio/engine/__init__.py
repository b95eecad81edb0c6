"""From a checkpoint to pictures. Knows nothing of HTTP or pages.

    engine = Engine(Store(home / "models"))
    engine.start()
    job = engine.submit("ada", TextToImage(prompt="a red circle on blue", width=128, height=128))
    for progress in job.watch(preview=True):
        ...
    job.result()[0].image.save("circle.png")

`submit`, `Job.watch`/`Job.progress` and `Job.cancel` are what `api` and `ui` draw with. Importing this is
cheap: torch and diffusers come when the engine starts, or with the first name of `_WITH_TORCH`; those are for
`bench`, which measures the parts.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from easel.studio.engine.checkpoints.chosen_parts import encoder_choices, find_part
from easel.studio.engine.compiling import missing_compiler
from easel.studio.engine.control.preprocessors import PREPROCESSORS, Preprocessor, preprocessor
from easel.studio.engine.control.unit import MAX_UNITS, ControlledPasses, ControlMode, ControlUnit
from easel.studio.engine.control_models.controls import detected_map
from easel.studio.engine.engine import Engine
from easel.studio.engine.errors import (
    SHUTTING_DOWN,
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
    check_range,
)
from easel.studio.engine.faces.face_files import (
    FaceRestoration,
    face_restorers,
    find_face_detector,
    find_face_files,
)
from easel.studio.engine.imaging import MaskedContent, ResizeMode, SoftInpainting
from easel.studio.engine.interrogation.question import Interrogation, Interrogator
from easel.studio.engine.loading.capacity import MemoryUse
from easel.studio.engine.networks.extra_networks import EmbeddingUse, LoraUse, alias_of, mentions, pickles
from easel.studio.engine.observer import EngineObserver, TimedCall
from easel.studio.engine.pace import Pace, units_left
from easel.studio.engine.prompts.comments import strip_comments
from easel.studio.engine.prompts.composition import negative_counts
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.prompts.expansion import expand
from easel.studio.engine.prompts.prompt_length import check_length, check_replaced
from easel.studio.engine.prompts.styles import (
    Style,
    apply_styles,
    extract_styles,
    merge_styles,
    read_styles,
    write_styles,
)
from easel.studio.engine.prompts.wildcards import WILDCARDS_FOLDER, Wildcards
from easel.studio.engine.queue.fair_share import FairShare
from easel.studio.engine.queue.job import FINAL, Drawn, Job, JobState, ProgressReport, Watcher
from easel.studio.engine.queue.job_queue import Status
from easel.studio.engine.queue.queue_bounds import Bound, Queue, see_that_there_is_room
from easel.studio.engine.queue.waiting_times import PersonsWork, ahead_of, by_person, time_for
from easel.studio.engine.requests.image_to_image import FoundNoise, ImageToImage, Mask
from easel.studio.engine.requests.limits import Limits
from easel.studio.engine.requests.request import (
    DEEP,
    DEEP_EVERY,
    MAX_BATCH_COUNT,
    MAX_BATCH_SIZE,
    MAX_SEED,
    MAX_SHOWN,
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    RANDN_SOURCES,
    TextToImage,
    chance,
    random_seed,
)
from easel.studio.engine.requests.second_pass import HiresFix, Refiner
from easel.studio.engine.sampling.samplers import SAMPLERS, Sampler, of_flows, resolve
from easel.studio.engine.sampling.schedule_types import SCHEDULE_TYPES, ScheduleType
from easel.studio.engine.sampling.settings import SamplerSettings
from easel.studio.engine.tensors.embedding_tensors import names_for, vectors_of
from easel.studio.engine.upscaling.enlargement import Enlargement, UpscalerTiles
from easel.studio.engine.upscaling.upscaler_names import Upscaler, find_upscaler, upscalers

if TYPE_CHECKING:
    from easel.studio.engine.checkpoints.checkpoint import Checkpoint
    from easel.studio.engine.loading.checkpoint_cache import copied
    from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
    from easel.studio.engine.memory.device_memory import DeviceMemory, give_back
    from easel.studio.engine.tensors.weights import Weights
    from easel.studio.engine.texts.token_count import count_tokens

_WITH_TORCH = {
    "Checkpoint": "checkpoints.checkpoint", "DeviceMemory": "memory.device_memory",
    "Weights": "tensors.weights", "copied": "loading.checkpoint_cache", "count_tokens": "texts.token_count",
    "give_back": "memory.device_memory", "load_checkpoint": "loading.checkpoint_loading",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
