"""Preprocessors that need weights: files of the store that make maps of pictures, or read faces in them.

They run on the processor, in the thread that takes a request, one at a time: others draw meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from easel.models import FileError, ModelFile, Store, path_now
from easel.studio.engine.control.preprocessors import Pixels, Preprocessor
from easel.studio.engine.control_models.annotator_files import ANNOTATORS, Annotator, AnnotatorFile
from easel.studio.engine.memory.networks_at_hand import NetworksAtHand, first_line

KEPT_BYTES = 200_000_000
"""Of weights: the two that were used last, or as many as are no more than this."""
_MULTIPLE = 64

_at_hand = NetworksAtHand(torch.device("cpu"), "annotator")
_one_at_a_time = threading.Lock()
_Files = Mapping[ModelFile, AnnotatorFile]


def with_network(way: Preprocessor, store: Store) -> Preprocessor:
    """The preprocessor with its network, where it needs one. Raises InvalidRequest where that is missing."""
    needed = ANNOTATORS.get(way.module)
    if needed is None:
        return way
    files = {one.find(store, way.module): one for one in needed.files}
    return replace(way, run=partial(_annotated, needed, files))


@contextmanager
def networks_at_work(files: _Files) -> Iterator[list[Any]]:
    """The networks of these files, in their order; nobody else's run meanwhile. Raises a FileError for a file
    of something else."""
    with _one_at_a_time, torch.inference_mode():
        try:
            yield [_at_hand.get(file, partial(_loaded, one)) for file, one in files.items()]
        finally:
            _at_hand.keep(max(2, len(files)), KEPT_BYTES)


def as_tensor(pixels: Pixels) -> Tensor:
    """A picture as (1, 3, height, width), 0 to 1."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def drawn_out(pixels: Pixels) -> Pixels:
    """A picture whose edges are drawn out to multiples of 64 pixels, as the extension does it."""
    height, width = pixels.shape[:2]
    more = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0))
    return np.pad(pixels, more, mode="edge")


def _annotated(needed: Annotator, files: _Files, pixels: Pixels, a: float, b: float) -> Pixels:
    with networks_at_work(files) as networks:
        network = networks[0] if needed.together is None else needed.together(*networks)
        found: Tensor = network(as_tensor(drawn_out(pixels)))
        if needed.read is not None:
            found = needed.read(found, a, b)
        found = found[: pixels.shape[0], : pixels.shape[1]]
    if found.dtype is not torch.uint8:
        found = (found * 255).clamp(0, 255).to(torch.uint8)
    return found.numpy() if needed.finish is None else needed.finish(found.numpy())


def _loaded(needed: AnnotatorFile, file: ModelFile) -> Any:
    try:
        tensors = {
            name.removeprefix("module."): _in_full(one)
            for name, one in load_file(path_now(file.path)).items()
        }
        network = needed.build(tensors)
        network.load_state_dict(tensors)
    except Exception as error:  # a file of another network trips wherever it differs first
        words = f"this is not the network that it is named for ({first_line(error)})"
        raise FileError(file.name, words) from error
    return network


def _in_full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
