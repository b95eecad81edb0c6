"""What tells a model's family or training, in words that the page says in its own language."""

from __future__ import annotations

from easel.remark import Remark, remark

SHAPES = remark("by_shapes", "shapes")
NAME = remark("by_name", "the file's name")
BESIDE = remark("by_file", "the file beside it")
BASE_MODEL = remark("by_base_model", "the baseModel beside it")
CONFIGURATION = remark("by_configuration", "its configuration")
SCHEDULER = remark("by_scheduler", "its scheduler_config.json")


def metadata(key: str) -> Remark:
    """An entry of the file's own metadata."""
    return remark("by_metadata", "the metadata {key}", key=key[:60])


def tensor(name: str) -> Remark:
    """A tensor that is there only to be found."""
    return remark("by_tensor", "the tensor {name}", name=name)


def file_beside(name: str) -> Remark:
    """A file beside the model, by its name."""
    return remark("by_named_file", "{file} beside it", file=name[:80])


def architecture_beside(name: str) -> Remark:
    """The name of a family that stands in a file beside it."""
    return remark("by_architecture", "the architecture {name} beside it", name=name)
