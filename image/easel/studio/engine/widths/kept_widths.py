"""What was measured of calls for several pictures, on disk: a studio that starts again begins with it.

A file for each device, beside what else an endpoint keeps in its store. What another device took, or another
version of torch, is not taken; nor is a file that somebody else's program, or half a disk, left behind.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import structlog
import torch

from easel.models import write_whole

log = structlog.get_logger(__name__)

# Kinds that are kept, the last that were measured. One takes 300 bytes.
MOST_KINDS = 200
_LARGEST = 1_000_000
# What found no room beside somebody else's program may find some on another day.
CEILING_SECONDS = 24 * 3600.0
# No call of a backbone takes longer; what says so is not ours.
_LONGEST_CALL = 3600.0


@dataclass
class KeptWidth:
    """Of one kind of picture: seconds of calls by width, and the widest that memory had room for, with the
    moment in Unix seconds when that was seen."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    ceiling: tuple[int, float] | None = None


def spelled(kind: Hashable) -> str | None:
    """A kind as a text that means the same in the next life; None for one that holds somebody's file."""

    def plain(value: object) -> bool:
        if isinstance(value, tuple):
            return all(plain(one) for one in value)
        return value is None or isinstance(value, str | int | float)

    return json.dumps(kind) if plain(kind) else None


def device_name(device: torch.device, how: str = "") -> str:
    """What times hold for: the device, its memory or threads, torch, and `how` it is used."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory >> 20
        name = f"{torch.cuda.get_device_name(device)}, {memory} MiB"
    else:
        name = f"{_processor()}, {psutil.cpu_count()} CPUs, {torch.get_num_threads()} threads"
    return ", ".join(filter(None, (name, f"torch {torch.__version__}", how)))


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else "CPU"


class KeptWidths:
    """The measurements of one device in a folder. Used from the engine's thread only."""

    def __init__(self, folder: Path, device: str) -> None:
        self._device = device
        self._path = folder / (re.sub(r"[^A-Za-z0-9.]+", "-", device)[:120] + ".json")

    def read(self) -> dict[str, KeptWidth]:
        """By `spelled` kind. Nothing where there is no file, or none that can be read."""
        try:
            with open(self._path, "rb") as file:
                found = json.loads(file.read(_LARGEST))
            if found["device"] != self._device:
                return {}
            return {str(kind): _width(given) for kind, given in found["kinds"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("measured widths are left aside", file=self._path.name, reason=str(error)[:200])
            return {}

    def write(self, kinds: Mapping[str, KeptWidth]) -> None:
        """Keep these beside what another replica has kept meanwhile. That it cannot be written is logged, and
        no fault."""
        there = {kind: one for kind, one in self.read().items() if kind not in kinds} | dict(kinds)
        last = list(there.items())[-MOST_KINDS:]
        content = {
            "device": self._device,
            "kinds": {
                kind: {
                    "seconds": {
                        str(width): [float(f"{one:.4g}") for one in took]
                        for width, took in kept.seconds.items()
                    },
                    "ceiling": kept.ceiling,
                }
                for kind, kept in last
            },
        }
        try:
            write_whole(self._path, json.dumps(content).encode())
        except OSError as error:
            log.warning("measured widths are not kept", reason=error.strerror)


def _width(given: Any) -> KeptWidth:
    """Raises what a wrong value raises."""
    seconds = {int(width): [_seconds(one) for one in took] for width, took in given["seconds"].items()}
    ceiling = given.get("ceiling")
    if ceiling is not None:
        width, at = int(ceiling[0]), float(ceiling[1])
        ceiling = (max(1, width), at) if 0 <= time.time() - at < CEILING_SECONDS else None
    return KeptWidth(seconds, ceiling)


def _seconds(given: Any) -> float:
    value = float(given)
    if not (math.isfinite(value) and 0 < value < _LONGEST_CALL):
        raise ValueError(f"a call of {value} s")
    return value
