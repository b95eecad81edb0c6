"""The pictures the starter learns from: coloured shapes on a coloured ground.

A `Scene` says what is in a picture, in words a caption can use; `draw` turns it into pixels. Nothing here
knows about models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 128
"""Width and height of a picture, in pixels: the starter's native size."""

SHAPES = ("circle", "square", "triangle", "star", "heart")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 36, 40),
    "orange": (248, 140, 24),
    "yellow": (250, 222, 48),
    "green": (36, 160, 72),
    "blue": (36, 88, 222),
    "purple": (142, 56, 184),
    "black": (18, 18, 22),
    "white": (250, 250, 250),
}
SIZES = ("small", "medium", "large")
PLACES: dict[str, tuple[int, int]] = {
    "top left": (-1, -1),
    "top": (0, -1),
    "top right": (1, -1),
    "left": (-1, 0),
    "centre": (0, 0),
    "right": (1, 0),
    "bottom left": (-1, 1),
    "bottom": (0, 1),
    "bottom right": (1, 1),
}
"""Where one shape can sit: columns and rows of a three by three grid."""

# Where two and three of a kind are: side by side, and in a triangle. They never touch.
_GROUPS: dict[int, tuple[tuple[float, float], ...]] = {
    2: ((SIDE / 2 - 30, SIDE / 2), (SIDE / 2 + 30, SIDE / 2)),
    3: ((SIDE / 2, SIDE / 2 - 27), (SIDE / 2 - 30, SIDE / 2 + 27), (SIDE / 2 + 30, SIDE / 2 + 27)),
}
# What a caption leaves to chance is small: the less there is to guess, the sooner a model of this size hears
# every word. With places and sizes often untold, 4,400 steps taught it colours, and shapes not at all.
_SHIFT = 3.0
_OVERSAMPLE = 3
_MARGIN = 5.0
_REACH = 34.0
_RADII: dict[int, dict[str, tuple[float, float]]] = {
    1: {"small": (18.0, 20.0), "medium": (26.0, 29.0), "large": (39.0, 44.0)},
    2: {"small": (17.0, 18.5), "medium": (20.5, 22.5), "large": (25.0, 27.0)},
    3: {"small": (16.0, 17.0), "medium": (19.0, 20.5), "large": (23.0, 24.5)},
}

Pixels = NDArray[np.uint8]
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class PlacedShape:
    """Where one shape is: its centre, its radius, and its tilt in radians."""

    x: float
    y: float
    radius: float
    tilt: float


@dataclass(frozen=True)
class Scene:
    """What a picture shows. `place` means something only for a single shape."""

    shape: str
    colour: str
    ground: str
    count: int
    size: str
    place: str
    spots: tuple[PlacedShape, ...]
    paint: RGB
    backdrop: RGB


def held_out(shape: str, colour: str, ground: str) -> bool:
    """True for the combinations that training never sees: one in four, evenly spread.

    Every shape is still seen in every colour, and every colour on every ground.
    """
    names = list(COLOURS)
    return (SHAPES.index(shape) + 2 * names.index(colour) + names.index(ground)) % 4 == 0


def combinations() -> list[tuple[str, str, str]]:
    """All (shape, colour, ground) triples whose shape can be seen."""
    return [
        (shape, colour, ground)
        for shape in SHAPES
        for colour in COLOURS
        for ground in COLOURS
        if colour != ground
    ]


_TRAINED = [triple for triple in combinations() if not held_out(*triple)]


def sample(rng: np.random.Generator, easy: float = 0.0, small: float = 0.0) -> Scene:
    """A scene of the combinations meant for training.

    `easy` is the share of large, central ones; `small` the share that is drawn again until its shapes are
    small.
    """
    scene = _sample(rng, easy)
    while small and scene.size != "small" and rng.random() < small:
        scene = _sample(rng, easy)
    return scene


def _sample(rng: np.random.Generator, easy: float) -> Scene:
    shape, colour, ground = _TRAINED[int(rng.integers(len(_TRAINED)))]
    if easy and rng.random() < easy:
        return compose(rng, shape, colour, ground, size=str(rng.choice(("medium", "large"))))
    count = int(rng.choice((1, 2, 3), p=(0.64, 0.19, 0.17)))
    size = str(rng.choice(SIZES))
    place = "centre" if rng.random() < 0.3 else str(rng.choice(list(PLACES)))
    return compose(rng, shape, colour, ground, count=count, size=size, place=place)


def compose(
    rng: np.random.Generator,
    shape: str,
    colour: str,
    ground: str,
    *,
    count: int = 1,
    size: str = "medium",
    place: str = "centre",
) -> Scene:
    """A scene as asked, with the small accidents (tilt, shift, shade) left to `rng`."""
    low, high = _RADII[count][size]
    radius = float(rng.uniform(low, high))
    column, row = PLACES[place]
    single = ((SIDE / 2 + column * _REACH, SIDE / 2 + row * _REACH),)
    spots = tuple(_spot(rng, x, y, radius) for x, y in _GROUPS.get(count, single))
    return Scene(
        shape=shape,
        colour=colour,
        ground=ground,
        count=count,
        size=size,
        place=place,
        spots=spots,
        paint=_shade(rng, COLOURS[colour]),
        backdrop=_shade(rng, COLOURS[ground]),
    )


def draw(scene: Scene) -> Pixels:
    """The scene's pixels, `SIDE` by `SIDE`, smooth at the edges."""
    canvas = Image.new("RGB", (SIDE * _OVERSAMPLE, SIDE * _OVERSAMPLE), scene.backdrop)
    pen = ImageDraw.Draw(canvas)
    for spot in scene.spots:
        pen.polygon(
            [(x * _OVERSAMPLE, y * _OVERSAMPLE) for x, y in _outline(scene.shape, spot)], fill=scene.paint
        )
    return np.asarray(canvas.reduce(_OVERSAMPLE))


def _outline(shape: str, spot: PlacedShape) -> list[tuple[float, float]]:
    turn = complex(math.cos(spot.tilt), math.sin(spot.tilt)) * spot.radius
    points = (complex(x, y) * turn for x, y in _UNIT[shape])
    return [(spot.x + p.real, spot.y + p.imag) for p in points]


def _circle() -> list[tuple[float, float]]:
    steps = (math.tau * i / 64 for i in range(64))
    return [(math.cos(a), math.sin(a)) for a in steps]


def _star() -> list[tuple[float, float]]:
    points = []
    for i in range(10):
        reach = 1.1 if i % 2 == 0 else 0.46
        angle = math.tau * i / 10 - math.pi / 2
        points.append((reach * math.cos(angle), reach * math.sin(angle) + 0.06))
    return points


def _heart() -> list[tuple[float, float]]:
    points = []
    for i in range(64):
        a = math.tau * i / 64
        x = 16 * math.sin(a) ** 3
        y = -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a))
        points.append((x / 16.0, (y - 2.5) / 15.0))
    return points


_UNIT: dict[str, list[tuple[float, float]]] = {
    "circle": _circle(),
    "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
    "triangle": [(0.0, -0.98), (1.04, 0.86), (-1.04, 0.86)],
    "star": _star(),
    "heart": _heart(),
}


def _shade(rng: np.random.Generator, colour: RGB) -> RGB:
    red, green, blue = (int(np.clip(c + rng.integers(-5, 6), 0, 255)) for c in colour)
    return red, green, blue


def _inside(value: float, radius: float) -> float:
    edge = radius * 1.1 + _MARGIN
    return float(np.clip(value, edge, SIDE - edge))


def _spot(rng: np.random.Generator, x: float, y: float, radius: float) -> PlacedShape:
    x, y = x + rng.uniform(-_SHIFT, _SHIFT), y + rng.uniform(-_SHIFT, _SHIFT)
    return PlacedShape(_inside(x, radius), _inside(y, radius), radius, float(rng.uniform(-0.09, 0.09)))
