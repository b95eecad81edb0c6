"""Plain words for a scene, phrased loosely, as people type them.

The same scene is phrased anew each time it is used, and now and then a part of it is
left out: the model then knows what to do with "a star", and with "red" as a negative
prompt. A place that is not told is the centre, a size that is not told is medium.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scripts.starter.pictures import Scene

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "circle", "disc", "dot"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart",),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {"purple": ("purple", "purple", "purple", "violet")}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "small", "little", "tiny"),
    "medium": ("medium", "medium-sized"),
    "large": ("large", "large", "big", "big", "huge"),
}
COUNT_WORDS: dict[int, tuple[str, ...]] = {
    1: ("a", "a", "a", "a", "one", "a single"),
    2: ("two", "two", "two", "2", "a pair of"),
    3: ("three", "three", "three", "3"),
}
_MIDDLE = ("centre", "center", "middle")
_OPENINGS = ("a picture of", "a drawing of", "an image of", "a photo of", "an illustration of")
_TAILS = ("simple", "flat colours", "minimal", "clean", "high quality", "plain")


def plain(scene: Scene) -> str:
    """The full description in its plainest phrasing, as used to judge the model."""
    size = "" if scene.size == "medium" else f"{scene.size} "
    if scene.count == 1:
        subject = f"a {size}{scene.colour} {scene.shape}"
        where = f", {scene.place}"
    else:
        subject = f"{COUNT_WORDS[scene.count][0]} {size}{scene.colour} {scene.shape}s"
        where = ""
    return f"{subject} on a {scene.ground} background{where}"


def phrase(scene: Scene, rng: np.random.Generator) -> str:
    """One of the many ways to say it, often with something left unsaid."""
    dice = rng.random()
    if dice < 0.05:
        return _word(scene, rng)
    if dice < 0.2:
        return _tags(scene, rng)
    return _sentence(scene, rng)


def words() -> list[str]:
    """Every word the captions can use."""
    lists: list[Sequence[str]] = [
        *SHAPE_WORDS.values(),
        *COLOUR_WORDS.values(),
        *SIZE_WORDS.values(),
        *COUNT_WORDS.values(),
        _MIDDLE,
        _OPENINGS,
        _TAILS,
        ("red", "orange", "yellow", "green", "blue", "black", "white"),
        ("left", "right", "top", "bottom", "corner", "upper", "lower", "side"),
        ("shape", "something", "on", "in", "the", "at", "with", "against", "and", "an"),
        ("background", "ground", "backdrop", "next to each other", "side by", "of"),
        tuple(f"{word}s" for group in SHAPE_WORDS.values() for word in group),
        ("boxes", "shapes", ",", "."),
    ]
    return sorted({word for group in lists for word in group})


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _colour(name: str, rng: np.random.Generator) -> str:
    return _pick(rng, COLOUR_WORDS.get(name, (name,)))


def _noun(scene: Scene, rng: np.random.Generator, *, known: bool = True) -> str:
    word = _pick(rng, SHAPE_WORDS[scene.shape]) if known else "shape"
    if scene.count == 1:
        return word
    return f"{word}es" if word == "box" else f"{word}s"


def _size(scene: Scene, rng: np.random.Generator) -> str:
    told = 0.12 if scene.size == "medium" else 0.96
    return _pick(rng, SIZE_WORDS[scene.size]) if rng.random() < told else ""


def _place(scene: Scene, rng: np.random.Generator) -> str:
    """Where the shape is, as a phrase, or nothing."""
    if scene.count > 1:
        beside = scene.count == 2 and rng.random() < 0.05
        return _pick(rng, ("next to each other", "side by side")) if beside else ""
    if rng.random() > (0.45 if scene.place == "centre" else 0.97):
        return ""
    if scene.place == "centre":
        middle = _pick(rng, _MIDDLE)
        return _pick(rng, (middle, f"in the {middle}"))
    place = scene.place
    if " " in place:
        if rng.random() < 0.2:
            place = place.replace("top", "upper").replace("bottom", "lower")
        return _pick(rng, (place, place, f"in the {place}", f"in the {place} corner", f"at the {place}"))
    if place in ("left", "right"):
        return _pick(rng, (place, place, f"on the {place}", f"on the {place} side", f"at the {place}"))
    return _pick(rng, (place, place, f"at the {place}", f"in the {place}"))


def _ground(scene: Scene, rng: np.random.Generator) -> str:
    colour = _colour(scene.ground, rng)
    article = "an" if colour[0] in "aeiou" else "a"
    dice = rng.random()
    if dice < 0.45:
        return f"on {article} {colour} background"
    if dice < 0.7:
        return f"on {colour}"
    return _pick(
        rng,
        (
            f"on {article} {colour} ground",
            f"on {article} {colour} backdrop",
            f"with {article} {colour} background",
            f"against {article} {colour} background",
            f"{colour} background",
        ),
    )


def _subject(scene: Scene, rng: np.random.Generator) -> str:
    told = rng.random()
    colour = "" if told < 0.04 else _colour(scene.colour, rng)
    rest = [_size(scene, rng), colour, _noun(scene, rng, known=not 0.04 <= told < 0.06)]
    subject = " ".join(word for word in rest if word)
    dice = rng.random()
    if dice < 0.12:
        return subject
    count = _pick(rng, COUNT_WORDS[scene.count])
    if count == "a" and subject[0] in "aeiou":
        count = "an"
    return f"{count} {subject}"


def _sentence(scene: Scene, rng: np.random.Generator) -> str:
    subject = _subject(scene, rng)
    ground = _ground(scene, rng) if rng.random() < 0.95 else ""
    place = _place(scene, rng)
    opening = f"{_pick(rng, _OPENINGS)} " if rng.random() < 0.12 else ""
    parts = [f"{opening}{subject}"]
    extras = [part for part in (ground, place) if part]
    if len(extras) == 2 and rng.random() < 0.35:
        extras.reverse()
    for extra in extras:
        bare = not extra.startswith(("on ", "in ", "at ", "with ", "against ", "next ", "side "))
        parts.append(f", {extra}" if bare or rng.random() < 0.2 else f" {extra}")
    return "".join(parts) + _ending(rng)


def _tags(scene: Scene, rng: np.random.Generator) -> str:
    """The comma style: "red circle, blue background, top left"."""
    tags = [_subject(scene, rng)]
    if rng.random() < 0.95:
        tags.append(f"{_colour(scene.ground, rng)} {_pick(rng, ('background', 'background', 'ground'))}")
    place = _place(scene, rng)
    if place:
        tags.append(place)
    if rng.random() < 0.5:
        tags = [tags[int(i)] for i in rng.permutation(len(tags))]
    return ", ".join(tags) + _ending(rng)


def _ending(rng: np.random.Generator) -> str:
    dice = rng.random()
    if dice < 0.06:
        return f", {_pick(rng, _TAILS)}"
    return "." if dice < 0.1 else ""


def _word(scene: Scene, rng: np.random.Generator) -> str:
    """One thing only: what negative prompts are made of."""
    colour, ground = _colour(scene.colour, rng), _colour(scene.ground, rng)
    return _pick(
        rng,
        (
            colour,
            colour,
            f"something {colour}",
            ground,
            f"{ground} background",
            f"{colour} on {ground}",
            f"{colour} and {ground}",
            _noun(scene, rng),
            _noun(scene, rng),
            _pick(rng, SIZE_WORDS[scene.size]),
            scene.place if scene.count == 1 else _pick(rng, COUNT_WORDS[scene.count]),
        ),
    )
