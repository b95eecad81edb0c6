"""Two replicas over one store: what one has accepted and not begun is drawn, whatever the other renames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from easel.models import Kind, Store, destination, rename_model
from easel.studio.engine import Engine, TextToImage
from tests.studio import networks

SMALL = TextToImage(
    prompt="a red circle <lora:film:0.7>",
    steps=2,
    width=64,
    height=64,
    seed=5,
    checkpoint="second",
    vae="own",
)
RENAMED = ((Kind.CHECKPOINT, "second"), (Kind.LORA, "film"), (Kind.VAE, "own"))


@dataclass
class Replicas:
    """One that draws only once it is started, and the store as another one has it."""

    waiting: Engine
    other: Store


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    for name in ("easel-starter", "second"):
        path = tmp_path / "Stable-diffusion" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(networks.STARTER.read_bytes())
    networks.write(tmp_path / "Lora/film.safetensors", networks.kohya(networks.pairs(1)))
    networks.write(tmp_path / "VAE/own.safetensors", networks.own_vae())
    engine = Engine(Store(tmp_path, hashing=False), default_checkpoint="easel-starter.safetensors")
    yield Replicas(engine, Store(tmp_path, hashing=False))
    engine.stop()


def test_what_waits_there_is_drawn(replicas: Replicas) -> None:
    """Checkpoint, LoRA and VAE get other names and folders before the first of it is read; the picture is the
    one that their new names give, and the next request may say either."""
    job = replicas.waiting.submit("ada", SMALL)
    for kind, name in RENAMED:
        file = replicas.other.find(kind, name)
        rename_model(replicas.other, file, destination(replicas.other, kind, "moved", f"{name}-now"))
    replicas.waiting.start()
    (first,) = job.result(120)
    later = replace(SMALL, checkpoint="second-now", vae="own-now", prompt="a red circle <lora:film-now:0.7>")
    for again in (later, SMALL):
        (drawn,) = replicas.waiting.submit("ada", again).result(120)
        assert (drawn.image.tobytes(), drawn.notes) == (first.image.tobytes(), first.notes)
