"""A real engine that goes from checkpoint to checkpoint; prints its resident memory behind each, in bytes.

`python -m tests.studio.engine.switching FOLDER SWITCHES kept|loaded`: from a folder of models with the
checkpoints one, two and three; "loaded" keeps none in memory, so that each is read again.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from easel.models import Store
from easel.studio.engine import Engine, HiresFix, Refiner, TextToImage
from easel.studio.engine.loading import checkpoint_cache

NAMES = ("one", "two", "three")
PLAIN = TextToImage(prompt="a red circle", width=64, height=64, steps=2, seed=1, sampler="Euler")


def resident() -> int:
    """This process' resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def request(number: int) -> TextToImage:
    """Another checkpoint each time, and by turns a LoRA, the hires fix with a checkpoint of its own, and a
    refiner."""
    here, there = NAMES[number % 3], NAMES[(number + 1) % 3]
    plain = replace(PLAIN, checkpoint=here)
    return (
        plain,
        replace(plain, prompt="a red circle <lora:easel-starter-lora:0.8>"),
        replace(plain, hires=HiresFix(scale=1.5, checkpoint=there)),
        replace(plain, refiner=Refiner(checkpoint=there, switch_at=0.5)),
    )[number % 4]


def main() -> None:
    """See above."""
    folder, switches, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if way == "loaded":
        checkpoint_cache.RESERVE_SHARE = 1.0
    engine = Engine(Store(folder), default_checkpoint="one")
    engine.start()
    for number in range(switches):
        engine.submit("ada", request(number)).result(120)
        print(resident(), flush=True)
    engine.stop()


if __name__ == "__main__":
    main()
