"""From a model file to modules that draw. Whatever is wrong is said before anything is taken away from who
draws now.

The order is: header, family, names and shapes, room in memory; only then the weights. Nothing here asks a
hub: modules are built from the configuration in the package and filled from the one file.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import torch

from easel.models import (
    Architecture,
    FileError,
    Header,
    Incomplete,
    ModelFile,
    WrongKind,
    identify,
    is_vae,
    read_header,
    read_sidecar,
    small_kind,
)
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.conversion import converter, text_names, to_unet, to_vae, unet_names, vae_names
from easel.studio.engine.memory import TooLarge, available, check_room, give_back, needed
from easel.studio.engine.prediction import predicts_velocity
from easel.studio.engine.skeleton import fill, nbytes, skeleton, vae_skeleton
from easel.studio.engine.tokenizer import load_tokenizer
from easel.studio.engine.weights import Weights
from easel.studio.families import Family, family

__all__ = ["TooLarge", "load_checkpoint", "load_vae"]

log = structlog.get_logger(__name__)

# Told what is being done and how far it is, 0..1.
Report = Callable[[str, float], None]


@dataclass
class _Part:
    """One module to be filled: which tensors of which file it takes, and how they are renamed."""

    words: str
    module: Any
    file: ModelFile
    header: Header
    names: list[str]
    convert: Callable[[Mapping[str, torch.Tensor], Any], dict[str, torch.Tensor]]

    def check(self) -> None:
        """Raise Incomplete unless the file holds every tensor of the module, in the module's shape."""
        empty = {name: _shape_only(self.header, name) for name in self.names}
        if not empty:
            raise Incomplete(self.file.name, f"it holds no {self.words}")
        try:
            found = self.convert(empty, self.module)
        except (KeyError, IndexError, AttributeError, RuntimeError) as error:
            raise Incomplete(self.file.name, f"its {self.words} cannot be understood ({error})") from None
        wanted = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        missing = [name for name in wanted if name not in found]
        if missing:
            count = f"{len(missing)} of {len(wanted)} tensors of its {self.words}"
            raise Incomplete(
                self.file.name, f"{count} are missing, the first is {missing[0]}; download it again"
            )
        for name, shape in wanted.items():
            have = tuple(found[name].shape)
            if have != shape:
                problem = f"{name} of its {self.words} is {_times(have)} where {_times(shape)} is expected"
                raise Incomplete(self.file.name, f"{problem}; it belongs to a variant that is not known here")

    def load(self, device: torch.device, dtype: torch.dtype, progress: Callable[[int], None]) -> None:
        """Read the weights and put them into the module."""
        with Weights(self.file.path, self.header) as weights:
            tensors = weights.read(self.names, device=device, dtype=dtype, progress=progress)
        converted = self.convert(tensors, self.module)
        del tensors
        fill(self.module, converted, device)

    @property
    def nbytes(self) -> int:
        """Bytes that are read for this part."""
        return sum(self.header.tensors[name].nbytes for name in self.names)


def load_checkpoint(
    file: ModelFile,
    *,
    device: torch.device,
    dtype: torch.dtype,
    vae: ModelFile | None = None,
    family: Family | None = None,
    report: Report | None = None,
) -> Checkpoint:
    """Load a checkpoint, with its own VAE or that of the file `vae`.

    `family` is told from the header unless given. `report` hears of the progress, from any thread. Raises a
    ModelError that says what is wrong: with the file (NotSafetensors, CutShort, LyingHeader, MissingFile),
    with what it holds (UnknownArchitecture, WrongKind, Incomplete), or TooLarge. Then nothing of it stays in
    memory.
    """
    with _nothing_left_behind(file, device):
        header = read_header(file.path)
        sure = True
        if family is None:
            identity = identify(header, name=file.name, sidecar=read_sidecar(file.path))
            family, sure = _family(identity.architecture), identity.sure
        loaded = _load(file, header, vae, family, device, dtype, report)
        if not sure and predicts_velocity(loaded.unet):
            loaded.family = _family(Architecture.SD2_V)
        log.info("checkpoint loaded", file=file.name, family=loaded.family.name, bytes=loaded.nbytes)
        return loaded


def load_vae(
    file: ModelFile,
    family: Family,
    *,
    device: torch.device,
    dtype: torch.dtype,
    report: Report | None = None,
) -> Any:
    """Load a VAE file, in the original or the diffusers layout, for checkpoints of `family`.

    Errors as above.
    """
    with _nothing_left_behind(file, device):
        part = _vae_part(file, vae_skeleton(family))
        _fill_all([part], device, dtype, report)
        return part.module


def _load(
    file: ModelFile,
    header: Header,
    vae: ModelFile | None,
    family: Family,
    device: torch.device,
    dtype: torch.dtype,
    report: Report | None,
) -> Checkpoint:
    bones = skeleton(family)
    parts: list[_Part] = []
    for encoder, module in zip(family.text_encoders, bones.text_encoders, strict=True):
        names = text_names(header.tensors, encoder.open_clip)
        parts.append(_Part("text encoder", module, file, header, names, converter(encoder.open_clip)))
    if vae is not None:
        parts.append(_vae_part(vae, bones.vae))
    else:
        parts.append(_Part("VAE", bones.vae, file, header, vae_names(header.tensors), to_vae))
    parts.append(_Part("UNet", bones.unet, file, header, unet_names(header.tensors), to_unet))
    total = _fill_all(parts, device, dtype, report)
    tokenizers = tuple(load_tokenizer(encoder.pad_token) for encoder in family.text_encoders)
    return Checkpoint(
        file, family, bones.unet, bones.vae, bones.text_encoders, tokenizers, device, dtype, total
    )


def _vae_part(file: ModelFile, module: Any) -> _Part:
    header = read_header(file.path)
    if not is_vae(header):
        small = small_kind(header)
        what, folder = (small[1], small[0]) if small else ("a checkpoint or another model", None)
        raise WrongKind(file.name, what, folder.folder if folder else None, wanted="a VAE")
    return _Part("VAE", module, file, header, vae_names(header.tensors), to_vae)


def _fill_all(parts: list[_Part], device: torch.device, dtype: torch.dtype, report: Report | None) -> int:
    """Check every part, then whether they fit, then load them. Returns the bytes they take."""
    for part in parts:
        part.check()
    weights = sum(nbytes(part.module, dtype) for part in parts)
    largest = max(part.header.tensors[name].nbytes for part in parts for name in part.names)
    check_room(parts[-1].file.name, weights, largest, device)
    progress = _Share(sum(part.nbytes for part in parts), report)
    for part in parts:
        part.load(device, dtype, progress.add)
    return weights


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
    """Turn what goes wrong into a ModelError that holds no tensor, and give back what memory was taken."""
    try:
        yield
    except (FileError, torch.OutOfMemoryError, MemoryError, RuntimeError, OSError) as error:
        # The frames of a kept exception keep their local variables: half a model.
        traceback.clear_frames(error.__traceback__)
        plain = _plain(error, file, device).with_traceback(None)
    else:
        return
    give_back(device)
    raise plain


def _plain(error: Exception, file: ModelFile, device: torch.device) -> FileError:
    if isinstance(error, FileError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate" in str(error):
        # It looked as if it would fit; something else took the memory meanwhile.
        return TooLarge(file.name, needed(file.size, device), available(device), device)
    if isinstance(error, OSError):
        return FileError(file.name, f"reading it failed ({error.strerror or error}); try again")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return FileError(file.name, f"it cannot be loaded ({reason[:300]})")


def _family(architecture: Architecture) -> Family:
    return family(architecture)


def _shape_only(header: Header, name: str) -> torch.Tensor:
    return torch.empty(header.tensors[name].shape, device="meta")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
