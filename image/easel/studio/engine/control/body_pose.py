"""OpenPose of bodies (Cao et al., arXiv 1812.08008): who stands how, as coloured sticks on black.

The network of `body_pose_model`, with the numbers of its port to PyTorch, which A1111's extension runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

Floats = NDArray[np.float64]
# Pixels of the height that it looks at, half of what it was trained with; cells of the maps are 8 pixels.
_HEIGHT, _CELL = 184, 8
_STAGES = range(2, 7)
_PARTS = 18
_SURE, _ALONG, _BLUR, _POINTS = 0.1, 0.05, 3.0, 10
_LEAST_PARTS, _LEAST_SCORE = 4, 0.4
# Limbs as pairs of parts (nose, neck, right arm, left arm, right leg, left leg, eyes, ears), and the first of
# the two maps that say which way each goes. The last two are looked for, and not drawn.
_LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
          (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17))  # fmt: skip
_WAYS = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26)
_DRAWN = 17
_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
    (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_RADIUS, _DARKER = 4, 0.6


class PartPeak(NamedTuple):
    """Where a part may be, in pixels, and how sure."""

    x: float
    y: float
    score: float


class BodyPose(nn.Module):
    """The network, under the names of its published file."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, one in tensors.items():
            layer, _, what = name.rpartition(".")
            if what == "weight":
                out, into, side, _ = one.shape
                self.add_module(layer, nn.Conv2d(into, out, side, padding=side // 2))

    def forward(self, pixels: Tensor) -> Tensor:
        """(height, width, 3), bytes: the sticks."""
        height, width = pixels.shape[-2:]
        return torch.from_numpy(np.asarray(drawn(self.people(pixels), width, height)).copy())

    def people(self, pixels: Tensor) -> list[dict[int, PartPeak]]:
        """Of each person the parts that were found, in pixels."""
        sure, ways = self._maps(pixels)
        peaks = [_peaks(one) for one in sure]
        limbs = [_limbs(peaks, ways, number, pixels.shape[-2]) for number in range(len(_LIMBS))]
        return _people(peaks, limbs)

    def _maps(self, pixels: Tensor) -> tuple[Floats, Floats]:
        """How sure each part is where, (18, height, width); which way limbs go, (38, height, width)."""
        height, width = pixels.shape[-2:]
        scale = _HEIGHT / height
        size = max(1, round(height * scale)), max(1, round(width * scale))
        seen = F.interpolate(pixels.flip(1), size, mode="bicubic" if scale > 1 else "area") * 255
        more = (0, -size[1] % _CELL, 0, -size[0] % _CELL)
        ways, sure = self._through(F.pad(seen, more, value=128) / 256 - 0.5)
        return self._large(sure[:, :_PARTS], size, (height, width)), self._large(ways, size, (height, width))

    @staticmethod
    def _large(maps: Tensor, seen: tuple[int, int], size: tuple[int, int]) -> Floats:
        fine = F.interpolate(maps, scale_factor=_CELL, mode="bicubic")[..., : seen[0], : seen[1]]
        found: Floats = F.interpolate(fine, size, mode="bicubic")[0].double().numpy()
        return found

    def _through(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Ways and sureness, a cell for 8 pixels."""
        hidden = seen
        for block, layers in enumerate((2, 2, 4), 1):
            hidden = self._run(hidden, [f"conv{block}_{number}" for number in range(1, layers + 1)])
            hidden = F.max_pool2d(hidden, 2)
        seen = self._run(hidden, ["conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM"])
        names = [f"conv5_{number}_CPM" for number in range(1, 6)]
        found = [self._run(seen, [f"{one}_L{side}" for one in names], last=True) for side in (1, 2)]
        for stage in _STAGES:
            names = [f"Mconv{number}_stage{stage}" for number in range(1, 8)]
            both = torch.cat([*found, seen], dim=1)
            found = [self._run(both, [f"{one}_L{side}" for one in names], last=True) for side in (1, 2)]
        return found[0], found[1]

    def _run(self, hidden: Tensor, names: Sequence[str], *, last: bool = False) -> Tensor:
        """Through layers, with a nonlinearity behind each, but the `last`."""
        for number, name in enumerate(names, 1):
            hidden = self.get_submodule(name)(hidden)
            if not (last and number == len(names)):
                hidden = F.relu(hidden)
        return hidden


def _peaks(sure: Floats) -> list[PartPeak]:
    """Pixels that are surer than their neighbours, softly seen."""
    from scipy import ndimage

    soft = np.pad(ndimage.gaussian_filter(sure, _BLUR), 1)
    middle = soft[1:-1, 1:-1]
    around = (soft[:-2, 1:-1], soft[2:, 1:-1], soft[1:-1, :-2], soft[1:-1, 2:])
    highest = np.logical_and.reduce([middle >= one for one in around]) & (middle > _SURE)
    return [PartPeak(float(x), float(y), float(sure[y, x])) for y, x in np.argwhere(highest)]


def _limbs(
    peaks: Sequence[list[PartPeak]], ways: Floats, number: int, height: int
) -> list[tuple[int, int, float]]:
    """Which of two parts' peaks belong together, the surest first, each once; and how sure."""
    first, second = (peaks[part] for part in _LIMBS[number])
    field = ways[_WAYS[number] : _WAYS[number] + 2]
    found = []
    for one, begin in enumerate(first):
        for other, end in enumerate(second):
            score = _along(field, begin, end, height)
            if score is not None:
                found.append((one, other, score))
    chosen: list[tuple[int, int, float]] = []
    for one, other, score in sorted(found, key=lambda limb: -limb[2]):
        if all(one != a and other != b for a, b, _ in chosen):
            chosen.append((one, other, score))
    return chosen


def _along(field: Floats, begin: PartPeak, end: PartPeak, height: int) -> float | None:
    """How much the field goes from one peak to the other; None where it does not."""
    way = np.array([end.x - begin.x, end.y - begin.y])
    length = max(0.001, float(np.hypot(*way)))
    xs = np.rint(np.linspace(begin.x, end.x, _POINTS)).astype(int)
    ys = np.rint(np.linspace(begin.y, end.y, _POINTS)).astype(int)
    scores = (field[:, ys, xs] * (way / length)[:, None]).sum(axis=0)
    # very long limbs count less
    score = float(scores.mean()) + min(0.5 * height / length - 1, 0)
    if (scores > _ALONG).sum() <= 0.8 * _POINTS or score <= 0:
        return None
    return score


class _Person:
    """Peaks by their parts, and how sure all of it is."""

    def __init__(self) -> None:
        self.parts: dict[int, int] = {}
        self.score = 0.0

    def add(self, part: int, peak: int, peaks: Sequence[list[PartPeak]], more: float) -> None:
        self.parts[part] = peak
        self.score += peaks[part][peak].score + more


def _people(
    peaks: Sequence[list[PartPeak]], limbs: Sequence[list[tuple[int, int, float]]]
) -> list[dict[int, PartPeak]]:
    """Limbs put together; parts of nobody, and people of few parts, are left out."""
    found: list[_Person] = []
    for number, ((first, second), joined) in enumerate(zip(_LIMBS, limbs, strict=True)):
        for one, other, score in joined:
            _join(found, peaks, (first, one), (second, other), score, begins=number < _DRAWN)
    kept = [one for one in found if len(one.parts) >= _LEAST_PARTS]
    kept = [one for one in kept if one.score / len(one.parts) >= _LEAST_SCORE]
    return [{part: peaks[part][peak] for part, peak in one.parts.items()} for one in kept]


def _join(
    people: list[_Person],
    peaks: Sequence[list[PartPeak]],
    first: tuple[int, int],
    second: tuple[int, int],
    score: float,
    *,
    begins: bool,
) -> None:
    """Give a limb to whom one of its ends belongs, or let two be one; `begins`: or somebody new."""
    owners = [one for one in people if first in one.parts.items() or second in one.parts.items()][:2]
    if len(owners) == 1:
        (owner,) = owners
        if second not in owner.parts.items():
            owner.add(*second, peaks, score)
    elif len(owners) == 2:
        one, other = owners
        if not set(one.parts) & set(other.parts):
            one.parts |= other.parts
            one.score += other.score + score
            people.remove(other)
        else:
            one.add(*second, peaks, score)
    elif begins:
        owner = _Person()
        owner.add(*first, peaks, score)
        owner.add(*second, peaks, 0.0)
        people.append(owner)


def drawn(people: Sequence[Mapping[int, PartPeak]], width: int, height: int) -> Image.Image:
    """Limbs as narrow ellipses, somewhat darker, under parts as circles; each in its colour."""
    canvas = Image.new("RGB", (width, height))
    brush = ImageDraw.Draw(canvas)
    for (first, second), colour in zip(_LIMBS[:_DRAWN], _COLOURS, strict=False):
        dark = tuple(int(one * _DARKER) for one in colour)
        for parts in people:
            if first in parts and second in parts:
                brush.polygon(_stick(parts[first], parts[second]), fill=dark)
    for part, colour in enumerate(_COLOURS):
        for parts in people:
            if part in parts:
                brush.circle(parts[part][:2], _RADIUS, fill=colour)
    return canvas


def _stick(begin: PartPeak, end: PartPeak) -> list[tuple[float, float]]:
    """The outline of an ellipse from one part to the other."""
    middle = np.array([begin.x + end.x, begin.y + end.y]) / 2
    way = np.array([end.x - begin.x, end.y - begin.y])
    length = max(0.001, float(np.hypot(*way)))
    along, across = way / length, np.array([-way[1], way[0]]) / length
    turns = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = [middle + np.cos(t) * length / 2 * along + np.sin(t) * _RADIUS * across for t in turns]
    return [(float(x), float(y)) for x, y in outline]
