"""The model store: files by name, what they are, and whether they are whole. Light: imports no torch."""

from easel.models.architecture import Architecture, Identity, detect, identify
from easel.models.errors import (
    CutShort,
    FileError,
    Incomplete,
    LyingHeader,
    MissingFile,
    ModelError,
    NotSafetensors,
    UnknownArchitecture,
    UnknownModel,
    WrongKind,
    gigabytes,
)
from easel.models.header import Header, TensorInfo, read_header
from easel.models.kind import Kind, is_vae, small_kind
from easel.models.model_file import ModelFile
from easel.models.sidecar import Sidecar, read_sidecar
from easel.models.store import Store

__all__ = [
    "Architecture",
    "CutShort",
    "FileError",
    "Header",
    "Identity",
    "Incomplete",
    "Kind",
    "LyingHeader",
    "MissingFile",
    "ModelError",
    "ModelFile",
    "NotSafetensors",
    "Sidecar",
    "Store",
    "TensorInfo",
    "UnknownArchitecture",
    "UnknownModel",
    "WrongKind",
    "detect",
    "gigabytes",
    "identify",
    "is_vae",
    "read_header",
    "read_sidecar",
    "small_kind",
]
