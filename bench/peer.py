"""The peer: a plain diffusers StableDiffusionPipeline in a process of its own, driven line by line.

Reads one JSON request a line from standard input, draws it, answers with one JSON line: {"seconds",
"png_bytes"}. The time is of the pipeline call to a PIL image. Run as `python -m bench.peer CHECKPOINT`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from scripts.starter.exam import pipeline as starter_pipeline


def main(checkpoint: str) -> None:
    """Load the pipeline as diffusers' own documentation does, then serve standard input."""
    import torch
    from diffusers import EulerDiscreteScheduler

    pipeline = starter_pipeline(Path(checkpoint))
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.perf_counter()
        image = pipeline(
            request["prompt"],
            negative_prompt=request.get("negative_prompt", ""),
            width=request["width"],
            height=request["height"],
            num_inference_steps=request["steps"],
            guidance_scale=request["cfg_scale"],
            generator=torch.Generator("cpu").manual_seed(request["seed"]),
        ).images[0]
        sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "size": image.size}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
