"""The starter's exam: 200 combinations, drawn by a plain diffusers pipeline, judged by pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from scripts.starter.captions import plain
from scripts.starter.judge import Observation, judge
from scripts.starter.pictures import PLACES, SIDE, SIZES, Scene, combinations, compose, held_out

FAMILIES = Path(__file__).parents[2] / "image" / "easel" / "studio" / "families"
QUESTIONS = 200


@dataclass(frozen=True)
class ExamAnswer:
    """One question and what the picture shows."""

    prompt: str
    scene: Scene
    seen: Observation

    @property
    def unseen(self) -> bool:
        """Whether training never saw this combination."""
        return held_out(self.scene.shape, self.scene.colour, self.scene.ground)


@dataclass(frozen=True)
class Marks:
    """Shares of right answers, from 0 to 1."""

    colour: float
    ground: float
    shape: float
    count: float


def questions(seed: int = 2026) -> list[Scene]:
    """200 scenes, a third of them of combinations held out of training, in every size and place and count."""
    rng = np.random.default_rng(seed)
    triples = combinations()
    new = [triple for triple in triples if held_out(*triple)]
    known = [triple for triple in triples if not held_out(*triple)]
    third = QUESTIONS // 3
    chosen = [new[i] for i in rng.permutation(len(new))[:third]]
    chosen += [known[i] for i in rng.permutation(len(known))[: QUESTIONS - third]]
    if len(chosen) < QUESTIONS:  # fewer combinations than questions: ask some twice, in other places
        chosen += [triples[int(i)] for i in rng.integers(0, len(triples), QUESTIONS - len(chosen))]
    return [
        compose(
            rng,
            *triple,
            count=int(rng.choice((1, 2, 3), p=(0.7, 0.15, 0.15))),
            size=str(rng.choice(SIZES)),
            place=str(rng.choice(list(PLACES))),
        )
        for triple in chosen
    ]


def pipeline(checkpoint: Path) -> Any:
    """The shipped file in a plain StableDiffusionPipeline, from our configuration, without a hub."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTokenizer

    found = StableDiffusionPipeline.from_single_file(
        str(checkpoint),
        config=str(FAMILIES / "starter"),
        tokenizer=CLIPTokenizer.from_pretrained(FAMILIES / "tokenizer"),
        torch_dtype=torch.float32,
    )
    found.set_progress_bar_config(disable=True)
    return found


def draw(
    pipe: Any,
    prompts: Sequence[str],
    *,
    negative: str = "",
    steps: int = 20,
    cfg_scale: float = 7.0,
    seed: int = 0,
    batch: int = 20,
) -> Iterator[Image.Image]:
    """A picture for each prompt; the picture of prompt `i` has the seed `seed + i`."""
    for first in range(0, len(prompts), batch):
        part = list(prompts[first : first + batch])
        sources = [torch.Generator("cpu").manual_seed(seed + first + i) for i in range(len(part))]
        yield from pipe(
            part,
            negative_prompt=[negative] * len(part),
            width=SIDE,
            height=SIDE,
            num_inference_steps=steps,
            guidance_scale=cfg_scale,
            generator=sources,
        ).images


def sit(pipe: Any, scenes: Sequence[Scene], *, steps: int = 20, cfg_scale: float = 7.0) -> list[ExamAnswer]:
    """Ask for every scene in plain words and look at the pictures."""
    prompts = [plain(scene) for scene in scenes]
    pictures = draw(pipe, prompts, steps=steps, cfg_scale=cfg_scale)
    return [
        ExamAnswer(prompt, scene, judge(picture))
        for prompt, scene, picture in zip(prompts, scenes, pictures, strict=True)
    ]


def marks(answers: Sequence[ExamAnswer]) -> Marks:
    """Shares of right answers."""

    def share(right: Iterator[bool]) -> float:
        return sum(right) / len(answers)

    return Marks(
        colour=share(a.seen.colour == a.scene.colour for a in answers),
        ground=share(a.seen.ground == a.scene.ground for a in answers),
        shape=share(a.seen.shape == a.scene.shape for a in answers),
        count=share(a.seen.count == a.scene.count for a in answers),
    )
