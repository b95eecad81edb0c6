"""The peer: plain diffusers pipelines in a process of their own, driven line by line.

Reads one JSON request a line from standard input, draws it, answers with one JSON line: {"seconds", "size"}.
The time is from the request's fields to the picture as base64 of a PNG, as Pillow writes it: what a source
comes as and what an answer is are the same on both sides. Run as `python -m bench.peer CHECKPOINT`.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from scripts.starter.exam import pipeline as starter_pipeline


def main(checkpoint: str) -> None:
    """Load the pipelines as diffusers' own documentation does, then serve standard input."""
    pipelines = Pipelines(Path(checkpoint))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.perf_counter()
        image = pipelines.draw(request)
        encoded(image)
        sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "size": image.size}) + "\n")
        sys.stdout.flush()


class Pipelines:
    """Text to image, image to image and inpainting of one checkpoint, which share its modules."""

    def __init__(self, checkpoint: Path) -> None:
        from diffusers import (
            EulerDiscreteScheduler,
            StableDiffusionImg2ImgPipeline,
            StableDiffusionInpaintPipeline,
        )

        self._text = starter_pipeline(checkpoint)
        self._text.scheduler = EulerDiscreteScheduler.from_config(self._text.scheduler.config)
        shared = {**self._text.components, "requires_safety_checker": False}
        self._image = StableDiffusionImg2ImgPipeline(**shared)
        self._inpaint = StableDiffusionInpaintPipeline(**shared)
        for one in (self._image, self._inpaint):
            one.set_progress_bar_config(disable=True)

    def draw(self, request: Mapping[str, Any]) -> Image.Image:
        """One picture of a request with A1111's names."""
        if "mask" in request:
            image, mask = _decoded(request["init_images"][0]), _decoded(request["mask"])
            size = {"width": image.width, "height": image.height}
            return self._over(self._inpaint, request, image, mask_image=mask, **size)
        if "init_images" in request:
            return self._over(self._image, request, _decoded(request["init_images"][0]))
        size = {"width": request["width"], "height": request["height"]}
        drawn: Image.Image = self._text(**_common(request), **size).images[0]
        if not request.get("enable_hr"):
            return drawn
        factor = request["hr_scale"]
        large = drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.LANCZOS)
        # diffusers leaves out what the strength saves; A1111's second pass makes all of its steps
        steps = int(request["steps"] / request["strength"])
        return self._over(self._image, {**request, "steps": steps}, large)

    @staticmethod
    def _over(pipeline: Any, request: Mapping[str, Any], image: Image.Image, **more: object) -> Image.Image:
        asked = {**_common(request), **more, "image": image, "strength": request["strength"]}
        drawn: Image.Image = pipeline(**asked).images[0]
        return drawn


def _common(request: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    return {
        "prompt": request["prompt"],
        "negative_prompt": request.get("negative_prompt", ""),
        "num_inference_steps": request["steps"],
        "guidance_scale": request["cfg_scale"],
        "generator": torch.Generator("cpu").manual_seed(request["seed"]),
    }


def encoded(image: Image.Image) -> str:
    """A picture as requests and answers carry it: PNG, as base64."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def _decoded(picture: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")


if __name__ == "__main__":
    main(sys.argv[1])
