"""DeepDanbooru (Kichang Kim's, MIT): which of some thousand tags a picture has. The network is "ResNet
custom v3", in the names of TorchDeepDanbooru's file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from easel.studio.engine.imaging import ResizeMode, resized
from easel.studio.engine.interrogation.question import Interrogation

TAGS = "tags"
"""Of the file's metadata: the names of the tags, as a JSON list."""
_SIDE = 512
_RATING = "rating:"
_BRACKETS = re.compile(r"([\\()])")


@dataclass(frozen=True)
class _Block:
    """Three convolutions by their numbers beside a way past them, which has one of its own or none."""

    convolutions: tuple[int, int, int]
    beside: int | None
    stride: int


class Tagger(nn.Module):
    """The network, as deep as the file; and the names of its tags. Raises ValueError where there is not a
    name for each."""

    def __init__(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        super().__init__()
        shapes = [tuple(tensors[f"n_Conv_{one}.weight"].shape) for one in range(_count(tensors))]
        self.tags = _names(metadata, shapes[-1][0])
        self._last = len(shapes) - 1
        self._blocks = _blocks(shapes[: self._last])
        strides = {0: 2}
        for one in self._blocks:
            strides[one.convolutions[1]] = one.stride
            if one.beside is not None:
                strides[one.beside] = one.stride
        for number, (out, into, side, _) in enumerate(shapes):
            bias = f"n_Conv_{number}.bias" in tensors
            layer = nn.Conv2d(into, out, side, strides.get(number, 1), bias=bias)
            self.add_module(f"n_Conv_{number}", layer)
        self.load_state_dict({name: one.float() for name, one in tensors.items() if name != TAGS})

    @torch.inference_mode()
    def look(self, image: Image.Image) -> dict[str, float]:
        """How sure it is of each tag, 0 to 1, in a picture (RGB)."""
        square = resized(image, ResizeMode.RESIZE_AND_FILL, _SIDE, _SIDE)
        pixels = torch.from_numpy(np.asarray(square, np.float32) / 255).permute(2, 0, 1)[None]
        first = next(self.parameters())
        return dict(zip(self.tags, self(pixels.to(first.device)).tolist(), strict=True))

    def forward(self, pixels: Tensor) -> Tensor:
        """Of (1, 3, height, width), 0 to 1. Borders are TensorFlow's: odd ones right and below."""
        hidden = F.relu(self._through(0, F.pad(pixels, (2, 3, 2, 3))))
        hidden = F.max_pool2d(F.pad(hidden, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        for block in self._blocks:
            first, second, third = block.convolutions
            found = F.relu(self._through(first, hidden))
            border = (1, 1, 1, 1) if block.stride == 1 else (0, 1, 0, 1)
            found = self._through(third, F.relu(self._through(second, F.pad(found, border))))
            past = hidden if block.beside is None else self._through(block.beside, hidden)
            hidden = F.relu(found + past)
        return self._through(self._last, hidden).mean(dim=(2, 3))[0].sigmoid()

    def _through(self, number: int, hidden: Tensor) -> Tensor:
        found: Tensor = self.get_submodule(f"n_Conv_{number}")(hidden)
        return found


def tag_words(found: Mapping[str, float], asked: Interrogation) -> str:
    """Tags as A1111 writes them."""
    left_out = {one.strip().replace(" ", "_") for one in asked.left_out.split(",")}
    tags = {
        tag: sure
        for tag, sure in found.items()
        if sure >= asked.threshold and tag not in left_out and not tag.startswith(_RATING)
    }
    order = sorted(tags) if asked.by_alphabet else sorted(tags, key=lambda tag: -tags[tag])
    return ", ".join(_word(tag, tags[tag], asked) for tag in order)


def _word(tag: str, sure: float, asked: Interrogation) -> str:
    if asked.spaces:
        tag = tag.replace("_", " ")
    if asked.escaped:
        tag = _BRACKETS.sub(r"\\\1", tag)
    return f"({tag}:{sure:.3f})" if asked.ranks else tag


def _names(metadata: Mapping[str, str], count: int) -> list[str]:
    names = json.loads(metadata.get(TAGS, "[]"))
    if len(names) != count:
        raise ValueError(
            f"{len(names)} names for {count} tags: let `easel models convert` make it of the .pt once more"
        )
    return [str(one) for one in names]


def _count(tensors: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("n_Conv_") and name.endswith(".weight") for name in tensors)


def _blocks(shapes: Sequence[tuple[int, ...]]) -> list[_Block]:
    """Which convolution is which. The file has no names for it, but numbers in the order in which they were
    exported: what goes past a block is the only one that grows wider before it, or is as wide behind it."""
    found: list[_Block] = []
    number = 1
    while number < len(shapes):
        out, into = shapes[number][:2]
        beside = number if out > into else None
        first = number if beside is None else number + 1
        number = first + 3
        if beside is None and number < len(shapes) and shapes[number][0] == shapes[number][1] == into:
            beside = number
            number += 1
        # the first of them sees what pooling has made small already
        stride = 1 if beside is None or not found else 2
        found.append(_Block((first, first + 1, first + 2), beside, stride))
    return found
