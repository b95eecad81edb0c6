"""diffusers' own pipeline on this machine's device, in a process of its own, driven line by line.

Reads a JSON request a line and answers with one: {"seconds"} of a picture (or of `batch` in one call, of
which each is written as PNG), or what `profile` found. Run as `python -m bench.device_peer CHECKPOINT NAME`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.child import child
from bench.peer import encoded
from bench.plain import Plain
from easel.models import Architecture
from easel.studio.families import HERE


class CallProfile(NamedTuple):
    """Seconds of a UNet's call, of which the device worked `busy` (0 where it is no GPU) in so many
    launches; and of a decode of as many pictures as the call draws."""

    call: float
    busy: float
    launches: int
    decode: float


class DevicePeer(Plain):
    """The peer's process, driven from here. It draws `batch` of a request in one call."""

    def __init__(self, process: subprocess.Popen[str], device: str) -> None:
        super().__init__(process)
        self.device = device

    def profile(self, side: int, rows: int) -> CallProfile:
        """Of calls with so many rows for pictures of this side; a picture takes two."""
        return CallProfile(**self.asked({"profile": [side, rows]}))


@contextlib.contextmanager
def device_peer(checkpoint: Path, architecture: Architecture) -> Iterator[DevicePeer]:
    """Start it, wait until its pipeline is on the device, and stop it at the end."""
    with child("device_peer", checkpoint, architecture.value, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        yield DevicePeer(process, process.stdout.readline().strip())


def main(checkpoint: str, name: str) -> None:
    """Load as diffusers' documentation does for this device, then serve standard input."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pipeline = _loaded(Path(checkpoint), name).to(device)
    _say(torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads")
    for line in sys.stdin:
        request = json.loads(line)
        if asked := request.get("profile"):
            _say(json.dumps(_profile(pipeline, *asked)._asdict()))
            continue
        began = time.perf_counter()
        for image in _drawn(pipeline, request):
            encoded(image)
        _say(json.dumps({"seconds": time.perf_counter() - began}))


def _loaded(checkpoint: Path, name: str) -> Any:
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
    from transformers import CLIPTokenizer

    kind = StableDiffusionXLPipeline if name.startswith("sdxl") else StableDiffusionPipeline
    words = CLIPTokenizer.from_pretrained(HERE / "tokenizer")
    tokenizers = {"tokenizer": words, **({"tokenizer_2": words} if name.startswith("sdxl") else {})}
    found = kind.from_single_file(
        str(checkpoint),
        config=str(HERE / name),
        torch_dtype=torch.float16 if torch.cuda.is_available() else torch.float32,
        **tokenizers,
    )
    found.scheduler = EulerDiscreteScheduler.from_config(found.scheduler.config)
    found.set_progress_bar_config(disable=True)
    return found


def _drawn(pipeline: Any, request: Mapping[str, Any]) -> Any:
    import torch

    seeds = [request["seed"] + index for index in range(request.get("batch", 1))]
    return pipeline(
        [request["prompt"]] * len(seeds),
        negative_prompt=[request["negative_prompt"]] * len(seeds),
        width=request["width"],
        height=request["height"],
        num_inference_steps=request["steps"],
        guidance_scale=request["cfg_scale"],
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    ).images


def _profile(pipeline: Any, side: int, rows: int) -> CallProfile:
    import torch
    from torch.profiler import ProfilerActivity, profile

    unet, vae = pipeline.unet, pipeline.vae
    like = {"device": unet.device, "dtype": unet.dtype}
    seen = torch.randn(rows, unet.config.in_channels, side // 8, side // 8, **like)
    words = torch.randn(rows, 77, unet.config.cross_attention_dim, **like)
    added = {}
    if getattr(unet, "add_embedding", None) is not None:
        pooled = torch.randn(rows, pipeline.text_encoder_2.config.projection_dim, **like)
        added = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": torch.zeros(rows, 6, **like)}}

    def call() -> None:
        unet(seen, 500, words, **added)

    def decode() -> None:
        vae.decode(seen[: rows // 2, : vae.config.latent_channels])

    with torch.inference_mode():
        took, decoded = _seconds(call), _seconds(decode)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            call()
            _wait()
    kernels = [one for one in profiled.events() if one.device_type.name == "CUDA"]
    busy = sum(one.self_device_time_total for one in kernels) / 1e6
    return CallProfile(took, busy, len(kernels), decoded)


def _seconds(what: Callable[[], None], times: int = 5) -> float:
    """The median of some, behind one that warms up."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        what()
        _wait()
        found.append(time.perf_counter() - began)
    return sorted(found[1:])[times // 2]


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
