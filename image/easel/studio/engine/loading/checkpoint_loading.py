"""From a model file, or a folder of diffusers', to modules that draw.

Whatever is wrong is said before anything is taken away from who draws now: header, family, names and shapes,
room in memory; only then the weights. Nothing here asks a hub: modules are built from the configuration in
the package and filled from the one file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import torch

from easel.models import (
    Architecture,
    CheckpointIdentity,
    FileError,
    ModelFile,
    Reader,
    cache_from_environment,
    identify,
    identify_folder,
    is_diffusers_folder,
    model_set,
    open_model,
    path_now,
    read_model_header,
    read_sidecar,
)
from easel.remark import remark
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.checkpoint_parts import (
    CheckpointPart,
    parts_of_file,
    parts_of_folder,
    parts_of_set,
    vae_part,
)
from easel.studio.engine.checkpoints.prediction import predicts_velocity
from easel.studio.engine.checkpoints.shared_parts import PartKeys, SharedParts, part_keys
from easel.studio.engine.checkpoints.skeleton import nbytes, skeleton, vae_skeleton
from easel.studio.engine.loading.placing import homes, offloaded, planned, weight_bytes
from easel.studio.engine.memory.device_memory import (
    DeviceMemory,
    TooLarge,
    available,
    check_room,
    forget_frames,
    give_back,
    is_out_of_memory,
    needed,
)
from easel.studio.engine.tensors.vocabularies import vocabularies_of
from easel.studio.engine.text_models.tokenizer import shared_tokenizer
from easel.studio.families import Family, as_trained
from easel.studio.families import family as family_of

log = structlog.get_logger(__name__)

# Told what is being done and how far it is, 0..1.
Report = Callable[[str, float], None]


def load_checkpoint(
    file: ModelFile,
    *,
    device: torch.device,
    dtype: torch.dtype,
    vae: ModelFile | None = None,
    family: Family | None = None,
    report: Report | None = None,
    memory: DeviceMemory | None = None,
    whole: bool = False,
    others: Callable[[], Iterable[ModelFile]] = tuple,
    shared: SharedParts | None = None,
) -> Checkpoint:
    """Load a checkpoint, with its own VAE or that of the file `vae`.

    `family` is told from the header unless given; `memory` is the device's. Where that has no room for all of
    it beside what drawing takes, some of its weights wait in main memory (`placing`), unless it
    has to be `whole`. Of a transformer, whose parts may lie in files of their own, what it lacks is taken
    from the file's `encoders` and then from `others`, the store's files, which are looked for then, but for
    parts that are in memory (`shared`). `report` hears of the progress, from any
    thread. Raises a ModelError that says what is wrong: with the file (NotSafetensors, CutShort, LyingHeader,
    MissingFile),
    with what it holds (UnknownArchitecture, WrongKind, Incomplete), or TooLarge. Then nothing of it stays in
    memory. A VAE of its own that is missing or of no use is no error: `Checkpoint.vae` is None then, and
    `vae_problem` says why.
    """
    with _nothing_left_behind(file, device):
        return _load(
            file, memory or DeviceMemory(device), dtype, vae, family, report,
            whole=whole, others=others, shared=shared or SharedParts(),
        )  # fmt: skip


def _load(
    file: ModelFile, memory: DeviceMemory, dtype: torch.dtype, vae: ModelFile | None, family: Family | None,
    report: Report | None, *, whole: bool, others: Callable[[], Iterable[ModelFile]], shared: SharedParts,
) -> Checkpoint:  # fmt: skip
    path = path_now(file.path)
    header = None if is_diffusers_folder(path) else read_model_header(path)
    identity = None
    if family is None:
        if header is None:
            identity = identify_folder(path)
        else:
            identity = identify(header, name=file.name, sidecar=read_sidecar(path))
        family = as_trained(family_of(identity.architecture), identity.prediction, identity.zero_snr)
    bones = skeleton(family)
    vocabularies: Mapping[str, Any] = {}
    vae_problem, there = "", 0
    keys: PartKeys = ()
    if family.flow is not None:
        dtype = flow_dtype(dtype)
        kind = identity or CheckpointIdentity(family.architecture)
        found = model_set(file, kind, others(), vae=vae, modules=file.encoders)
        present = zip(bones.text_encoders, found.text_encoders, strict=True)
        bones.text_encoders = tuple(module if part is not None else None for module, part in present)
        keys = part_keys(found, family, dtype)
        there = shared.take(keys, bones, memory, whole=whole or not memory.apart)
        parts = parts_of_set(found, family, bones)
        vocabularies = vocabularies_of(found)
    else:
        half = dtype.itemsize <= 2
        parts = (
            parts_of_folder(file, vae, family, bones, half=half)
            if header is None
            else parts_of_file(file, header, vae, family, bones)
        )
        vae_problem = _without_own_vae(parts) if vae is None else ""
    _check(parts)
    scratch = max((part.largest for part in parts), default=0)
    weights = weight_bytes(bones, dtype, memory.device)
    plan = planned(file.name, family, weights, dtype, memory, scratch=scratch, there=there, whole=whole)
    places = homes(plan.placement, memory.device)
    total = there + _fill_all(parts, [places[part.words] for part in parts], dtype, report)
    tokenizers = () if family.flow else tuple(shared_tokenizer(one.pad_token) for one in family.text_encoders)
    loaded = Checkpoint(
        file=file, family=family, backbone=bones.backbone, vae=None if vae_problem else bones.vae,
        text_encoders=bones.text_encoders, tokenizers=tokenizers, vocabularies=vocabularies,
        device=memory.device, dtype=dtype,
        nbytes=total, vae_problem=vae_problem, plan=plan, offload=offloaded(bones, plan.placement, memory),
        part_keys=keys,
    )  # fmt: skip
    shared.add(keys, bones.parts, memory, plan.placement)
    if identity is not None:
        loaded.notes = tuple(
            remark("of_checkpoint", "{name}: {note}.", name=file.name, note=note) for note in identity.notes
        )
        if not identity.sure and predicts_velocity(loaded.backbone, memory.device):
            loaded.family = as_trained(family_of(Architecture.SD2_V), "", identity.zero_snr)
    told_by = identity.told_by if identity is not None and identity.sure else "the UNet itself"
    log.info(
        "checkpoint loaded",
        file=file.name,
        family=loaded.family.name,
        bytes=loaded.nbytes,
        read=sum(part.nbytes for part in parts),
        predicts=loaded.family.prediction_type,
        zero_snr=bool(loaded.family.scheduler_config.get("rescale_betas_zero_snr")),
        told_by=told_by if identity is not None else "what was given",
        notes=loaded.notes,
        placement=plan.placement.words,
        need=plan.need,
        width=plan.width,
    )
    return loaded


def flow_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type that a transformer is drawn in where a UNet is drawn in `dtype`: the numbers inside of these,
    and of T5, are too large for the half precision with five bits of exponent."""
    return torch.bfloat16 if dtype == torch.float16 else dtype


def _without_own_vae(parts: list[CheckpointPart]) -> str:
    """Take a VAE that cannot be used out of the parts, and say why; "" where it can.

    Many checkpoints are published without, to be drawn with a VAE file.
    """
    own = next(part for part in parts if part.words == "VAE")
    try:
        own.check()
    except FileError as error:
        parts.remove(own)
        return error.problem
    return ""


def load_vae(
    file: ModelFile, family: Family, *, device: torch.device, dtype: torch.dtype, report: Report | None = None
) -> Any:
    """Load a VAE file, in the original or the diffusers layout, for checkpoints of `family`.

    Errors as above.
    """
    return load_single(
        file, lambda: vae_part(file, vae_skeleton(family)), device=device, dtype=dtype, report=report
    )


def load_single(
    file: ModelFile,
    part_of: Callable[[], CheckpointPart],
    *,
    device: torch.device,
    dtype: torch.dtype,
    report: Report | None = None,
) -> Any:
    """The module of a file that holds one, filled. Errors as above, and those of `part_of`."""
    with _nothing_left_behind(file, device):
        return _load_single(part_of, device, dtype, report)


def _load_single(
    part_of: Callable[[], CheckpointPart], device: torch.device, dtype: torch.dtype, report: Report | None
) -> Any:
    part = part_of()
    _check([part])
    check_room(part.name, nbytes(part.module, dtype), part.largest, device)
    _fill_all([part], [device], dtype, report)
    return part.module


def _check(parts: list[CheckpointPart]) -> None:
    """Raise a FileError for a part that the files do not hold as it should be."""
    for part in parts:
        part.check()
        if part.left_out:
            log.info(
                "tensors left out: the model has no place for them",
                file=part.name,
                part=part.words,
                count=len(part.left_out),
                some=part.left_out[:5],
            )


def _fill_all(
    parts: list[CheckpointPart], devices: list[torch.device], dtype: torch.dtype, report: Report | None
) -> int:
    """Load the parts, which were checked, each to its device. Returns the bytes they take."""
    progress = _Share(sum(part.nbytes for part in parts), report)
    with _open_all(parts) as readers:
        for part, device in zip(parts, devices, strict=True):
            part.load(readers, device, dtype, progress.add)
    return sum(nbytes(part.module, dtype) for part in parts)


@contextmanager
def _open_all(parts: list[CheckpointPart]) -> Iterator[dict[Path, Reader]]:
    """Every file of the parts, opened once, so that each is read and copied into the cache once."""
    readers: dict[Path, Reader] = {}
    whole = False
    try:
        cache = cache_from_environment()
        for part in parts:
            for piece, _ in part.pieces:
                if piece.path not in readers:
                    readers[piece.path] = open_model(piece.path, cache)
        yield readers
        whole = True
    finally:
        for reader in readers.values():
            reader.close(whole=whole)


class _Share:
    """Turns bytes from many threads into a share, told about a hundred times."""

    def __init__(self, total: int, report: Report | None) -> None:
        self._total = max(1, total)
        self._report = report
        self._done = 0
        self._told = -1
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count `count` more bytes as read."""
        if self._report is None:
            return
        with self._lock:
            self._done += count
            percent = self._done * 100 // self._total
            if percent == self._told:
                return
            self._told = percent
            self._report("reading", percent / 100)


@contextmanager
def _nothing_left_behind(file: ModelFile, device: torch.device) -> Iterator[None]:
    """Turn what goes wrong into a ModelError that holds no tensor, and give back what memory was taken.

    Call one function within this and keep no tensor beside it: the frame with the `with` in it still runs
    when the frames are cleared, so what it names stays as long as the error.
    """
    try:
        # A parameter that is made in inference mode cannot be set, whatever mode the caller is in.
        with torch.inference_mode(False):
            yield
    except (FileError, torch.OutOfMemoryError, MemoryError, RuntimeError, OSError) as error:
        forget_frames(error)
        plain = _plain(error, file, device).with_traceback(None)
    else:
        return
    give_back(device)
    raise plain


def _plain(error: Exception, file: ModelFile, device: torch.device) -> FileError:
    if isinstance(error, FileError):
        return error
    if is_out_of_memory(error):
        # It looked as if it would fit; something else took the memory meanwhile.
        return TooLarge(file.name, needed(file.size, device), available(device), device)
    if isinstance(error, OSError):
        return FileError(file.name, f"reading it failed ({error.strerror or error}); try again")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return FileError(file.name, f"it cannot be loaded ({reason[:300]})")
