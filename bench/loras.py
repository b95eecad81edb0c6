"""Eight people with eight LoRAs at once on the starter, against the same requests one after another on the
same Easel: what sharing calls of the UNet is worth to them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn

from bench.crowd import COLOURS, PEOPLE, rate, seconds
from bench.running import Running
from bench.table import comparison, in_turns
from bench.txt2img import draw, request
from easel.models import Architecture
from easel.studio.families import family

ROUNDS = 5
RANKS = (4, 8, 8, 16, 16, 16, 32, 32)
"""One for each LoRA: those that people publish are of different ranks."""
COMPANIES = {"eight people with eight LoRAs": True, "eight people, four with a LoRA each": False}
"""Who draws, and whether all of them have one."""
# Attention and feed-forward layers as kohya's scripts train them, and the convolutions of LoCon.
_TRAINED = ("to_q", "to_k", "to_v", "to_out.0", "proj", "net.2", "proj_in", "proj_out", "conv1", "conv2")


def rows(home: Path, easel: Running) -> Iterator[list[str]]:
    """Pictures a minute and the longest wait, of each company."""
    for number, rank in enumerate(RANKS):
        _write(home / "models" / "Lora" / f"bench{number}.safetensors", number, rank)
    with easel.client() as client, ThreadPoolExecutor(PEOPLE) as people:
        for who, all_of_them in COMPANIES.items():
            rates, waits = _measured(client, people, all_of_them=all_of_them)
            yield comparison(f"{who}, pictures a minute", rates, "≥ 1.6" if all_of_them else "", rate)
            yield comparison(f"{who}, longest wait", waits, "< 1", seconds)


def _measured(
    client: httpx.Client, people: ThreadPoolExecutor, *, all_of_them: bool
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Pictures a minute and the longest wait, at once and one after another, round by round."""
    tags = [f" <lora:bench{i}:0.7>" if all_of_them or i % 2 else "" for i in range(PEOPLE)]

    def bodies(number: int) -> list[dict[str, object]]:
        return [
            request(f"a {colour} star on white{tag}", 128, number * PEOPLE + i)
            for i, (colour, tag) in enumerate(zip(COLOURS, tags, strict=True))
        ]

    pairs = in_turns(
        lambda number: at_once(client, people, bodies(number)),
        lambda number: _one_by_one(client, bodies(number)),
        ROUNDS + 2,
    )[2:]  # the first rounds are where the width is measured
    rates = [(PEOPLE * 60 / ours, PEOPLE * 60 / theirs) for (ours, _), (theirs, _) in pairs]
    return rates, [(ours, theirs) for (_, ours), (_, theirs) in pairs]


def at_once(
    client: httpx.Client, people: ThreadPoolExecutor, bodies: Sequence[dict[str, object]]
) -> tuple[float, float]:
    """Seconds until all have their pictures, and the longest that one waited."""
    began = time.perf_counter()
    waits = list(people.map(lambda body: draw(client, body), bodies))
    return time.perf_counter() - began, max(waits)


def _one_by_one(client: httpx.Client, bodies: Sequence[dict[str, object]]) -> tuple[float, float]:
    """The same where each waits for those before."""
    took = sum(draw(client, body) for body in bodies)
    return took, took


def _unet() -> Any:
    """The starter's, without weights."""
    config = json.loads((family(Architecture.STARTER).folder / "unet" / "config.json").read_text())
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(config)


def _write(path: Path, seed: int, rank: int) -> None:
    """A LoRA of random numbers for the starter, in kohya's names."""
    noise = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in _unet().named_modules():
        if name.endswith(_TRAINED) and isinstance(layer, nn.Linear | nn.Conv2d):
            out, *into = layer.weight.shape
            base = "lora_unet_" + name.replace(".", "_")
            tensors[f"{base}.lora_down.weight"] = torch.randn((rank, *into), generator=noise) / 30
            tensors[f"{base}.lora_up.weight"] = (
                torch.randn((out, rank, *[1] * (len(into) - 1)), generator=noise) / 30
            )
            tensors[f"{base}.alpha"] = torch.tensor(float(rank))
    path.parent.mkdir(exist_ok=True)
    save_file(tensors, path)
