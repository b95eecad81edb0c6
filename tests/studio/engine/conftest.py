"""A real engine with the real starter checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel.models import Store
from easel.studio.engine import Engine
from tests.studio import networks

STARTER = Path(__file__).parents[3] / "image" / "starter" / "easel-starter.safetensors"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the starter, a copy of it under another name, and nothing else."""
    root = tmp_path_factory.mktemp("models")
    folder = root / "Stable-diffusion"
    folder.mkdir()
    shutil.copy(STARTER, folder)
    shutil.copy(STARTER, folder / "second.safetensors")
    return Store(root)


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of a module's own, with two LoRAs and the starter under a second name."""
    root = tmp_path_factory.mktemp("models")
    (root / "Stable-diffusion").mkdir()
    for name in (STARTER.name, "second.safetensors"):
        (root / "Stable-diffusion" / name).symlink_to(STARTER)
    for number, name in enumerate(("one", "two")):
        networks.write(root / "Lora" / f"{name}.safetensors", networks.kohya(networks.pairs(number)))
    engine = Engine(Store(root, hashing=False), default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def engine(store: Store) -> Iterator[Engine]:
    """An engine that runs for the whole session: tests share it as people do."""
    engine = Engine(store, default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """A plain picture has no spread in a tiny network's layers, so that the last digit decides, which two
    threads round otherwise than one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
