"""Preprocessors that need weights: files of the store that make maps of pictures.

They run on the processor, in the thread that takes a request, one at a time: others draw meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from easel.models import FileError, Kind, ModelFile, Store
from easel.studio.engine.control.annotator_networks import AnimeDrawing, Depth, LineDrawing, SoftEdges
from easel.studio.engine.control.body_pose import BodyPose
from easel.studio.engine.control.preprocessors import Pixels, Preprocessor
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.networks_at_hand import NetworksAtHand, first_line

KEPT_BYTES = 200_000_000
"""Of weights: the two that were used last, or as many as are no more than this."""
_MULTIPLE = 64
_SAFE_STEPS = 2


@dataclass(frozen=True)
class AnnotatorFile:
    """Which file a preprocessor needs: how its name may begin, what to tell who has none, and its network."""

    stems: tuple[str, ...]
    named: str
    build: Callable[[Mapping[str, torch.Tensor]], Any]

    def fits(self, stem: str) -> bool:
        """Whether a file of this name is one."""
        return stem.lower().replace("-", "_") in self.stems

    def find(self, store: Store, module: str) -> ModelFile:
        """The first of the store that fits. Raises InvalidRequest that says which to add."""
        for one in store.files(Kind.IMAGE_ENCODER):
            if self.fits(one.stem):
                return one
        raise InvalidRequest(
            "controlnet.module",
            module,
            f"a preprocessor whose file is in models/{Kind.IMAGE_ENCODER.folder}: this one needs "
            f'{self.named}. Or send the map itself as the image, with module "none"',
        )


def _sizes(*starts: str) -> tuple[str, ...]:
    """Names of Depth Anything's files, of each size."""
    ends = ("", "_small", "_base", "_large", "_small_hf", "_base_hf", "_large_hf", "_vits", "_vitb", "_vitl")
    return tuple(start + end for start in starts for end in ends)


_HED = AnnotatorFile(
    ("controlnethed", "network_bsds500"),
    "ControlNetHED.safetensors (`easel models convert --type image_encoder` makes it of the .pth in "
    "lllyasviel/Annotators)",
    SoftEdges,
)
ANNOTATORS: Mapping[str, AnnotatorFile] = {
    "softedge_hed": _HED,
    "softedge_hedsafe": _HED,
    "lineart": AnnotatorFile(("sk_model",), "sk_model.safetensors (of lllyasviel/Annotators)", LineDrawing),
    "lineart_coarse": AnnotatorFile(
        ("sk_model2",), "sk_model2.safetensors (of lllyasviel/Annotators)", LineDrawing
    ),
    "lineart_anime": AnnotatorFile(("netg",), "netG.safetensors (of lllyasviel/Annotators)", AnimeDrawing),
    "openpose": AnnotatorFile(
        ("body_pose_model",), "body_pose_model.safetensors (of lllyasviel/Annotators)", BodyPose
    ),
    "depth_anything": AnnotatorFile(
        _sizes("depth_anything", "depth_anything_v1"),
        "depth_anything_small.safetensors: model.safetensors of LiheYoung/depth-anything-small-hf or one of "
        "its sizes",
        partial(Depth, second=False),
    ),
    "depth_anything_v2": AnnotatorFile(
        _sizes("depth_anything_v2"),
        "depth_anything_v2_small.safetensors: model.safetensors of depth-anything/Depth-Anything-V2-Small-hf "
        "or one of its sizes",
        partial(Depth, second=True),
    ),
}
_at_hand = NetworksAtHand(torch.device("cpu"), "annotator")
_one_at_a_time = threading.Lock()


def with_network(way: Preprocessor, store: Store) -> Preprocessor:
    """The preprocessor with its network, where it needs one. Raises InvalidRequest where that is missing."""
    needed = ANNOTATORS.get(way.module)
    if needed is None:
        return way
    file = needed.find(store, way.module)
    return replace(way, run=lambda pixels, a, b: _annotated(way.module, needed, file, pixels))


def _annotated(module: str, needed: AnnotatorFile, file: ModelFile, pixels: Pixels) -> Pixels:
    with _one_at_a_time:
        network = _at_hand.get(file, partial(_loaded, needed))
        found = _through(network, pixels)
        _at_hand.keep(2, KEPT_BYTES)
    if module == "softedge_hedsafe":
        found = (found * (_SAFE_STEPS + 1)).floor() / _SAFE_STEPS
    if found.dtype is torch.uint8:
        return found.numpy()
    return (found * 255).clamp(0, 255).to(torch.uint8).numpy()


@torch.inference_mode()
def _through(network: Any, pixels: Pixels) -> torch.Tensor:
    """The map of a picture, whose edges are drawn out to multiples of 64 pixels, as the extension does it."""
    height, width = pixels.shape[:2]
    more = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0))
    whole = torch.from_numpy(np.pad(pixels, more, mode="edge")).permute(2, 0, 1)[None].float() / 255
    found: torch.Tensor = network(whole)
    return found[:height, :width]


def _loaded(needed: AnnotatorFile, file: ModelFile) -> Any:
    try:
        tensors = {name.removeprefix("module."): one.float() for name, one in load_file(file.path).items()}
        network = needed.build(tensors)
        network.load_state_dict(tensors)
    except Exception as error:  # a file of another network trips wherever it differs first
        words = f"this is not the network that it is named for ({first_line(error)})"
        raise FileError(file.name, words) from error
    return network
