"""Preprocessors that need weights: files of the store that make maps of pictures.

They run on the processor, in the thread that takes a request, one at a time: others draw meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from easel.models import FileError, ModelFile, Store, path_now
from easel.studio.engine.annotator_files import ANNOTATORS, Annotator, AnnotatorFile
from easel.studio.engine.control.preprocessors import Pixels, Preprocessor
from easel.studio.engine.networks_at_hand import NetworksAtHand, first_line

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


def _annotated(needed: Annotator, files: _Files, pixels: Pixels, a: float, b: float) -> Pixels:
    with _one_at_a_time:
        networks = [_at_hand.get(file, partial(_loaded, one)) for file, one in files.items()]
        network = networks[0] if needed.together is None else needed.together(*networks)
        found = _through(network, needed, pixels, a, b)
        _at_hand.keep(max(2, len(networks)), KEPT_BYTES)
    if found.dtype is not torch.uint8:
        found = (found * 255).clamp(0, 255).to(torch.uint8)
    return found.numpy() if needed.finish is None else needed.finish(found.numpy())


@torch.inference_mode()
def _through(network: Any, needed: Annotator, pixels: Pixels, a: float, b: float) -> torch.Tensor:
    """The map of a picture, whose edges are drawn out to multiples of 64 pixels, as the extension does it."""
    height, width = pixels.shape[:2]
    more = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0))
    whole = torch.from_numpy(np.pad(pixels, more, mode="edge")).permute(2, 0, 1)[None].float() / 255
    found: torch.Tensor = network(whole)
    if needed.read is not None:
        found = needed.read(found, a, b)
    return found[:height, :width]


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


def _in_full(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
