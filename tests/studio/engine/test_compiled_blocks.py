"""Blocks that a backbone repeats, compiled: the same pictures, in any company, and without a compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easel.models import Store
from easel.studio.engine import Engine, TextToImage
from tests.studio import networks
from tests.studio.engine.conftest import STARTER

SMALL = TextToImage(prompt="a red cup", width=64, height=64, steps=4, seed=7)
WAIT = 600
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here")


def furthest(ours: Image.Image, theirs: Image.Image) -> int:
    """The largest difference of two pictures' colours."""
    return int(np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).max())


def drawn(engine: Engine, request: TextToImage) -> list[Image.Image]:
    """Its pictures."""
    return [one.image for one in engine.submit("ada", request).result(WAIT)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is compiled is kept; a compiler's process less."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return tmp_path / "compiled"


@pytest.fixture
def compiling(tmp_path: Path, cache: Path) -> Iterator[Engine]:
    """An engine that compiles, with a LoRA."""
    import torch._dynamo

    torch._dynamo.reset()
    root = tmp_path / "models"
    (root / "Stable-diffusion").mkdir(parents=True)
    (root / "Stable-diffusion" / STARTER.name).symlink_to(STARTER)
    networks.write(root / "Lora" / "one.safetensors", networks.kohya(networks.pairs(1)))
    engine = Engine(Store(root, hashing=False), default_checkpoint=STARTER.name, compiles=True)
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.slow
@needs_compiler
@pytest.mark.timeout(900)
def test_pictures_are_those_of_the_code_as_it_is_written(
    compiling: Engine, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone and with seven others, at two sizes, without a negative prompt: within 2 of 255. With a LoRA,
    with edges that meet and exact they are drawn as ever, to the bit, before and behind compiled ones."""
    import torch._dynamo.utils as utils

    alike = [
        SMALL, replace(SMALL, batch_size=8), replace(SMALL, width=128), replace(SMALL, cfg_scale=1.0),
        replace(SMALL, steps=8, cache_every=3),
    ]  # fmt: skip
    for request in alike:
        ours, theirs = drawn(compiling, request), drawn(engine, request)
        assert max(map(furthest, ours, theirs)) <= 2
    graphs = utils.counters["stats"]["unique_graphs"]
    assert 0 < graphs <= 8, "neither widths nor sizes compile anew"
    with_lora = replace(SMALL, prompt="a red cup <lora:one:1>")
    (first,) = drawn(compiling, with_lora)
    (plain,) = drawn(compiling, SMALL)
    assert furthest(first, plain) > 0
    for request in (replace(SMALL, exact=True), replace(SMALL, tiling=True)):
        assert furthest(*drawn(compiling, request), *drawn(engine, request)) == 0
    assert furthest(first, *drawn(compiling, with_lora)) == 0
    assert furthest(*drawn(compiling, SMALL), *drawn(engine, SMALL)) <= 2
    assert utils.counters["stats"]["unique_graphs"] == graphs, "a LoRA in memory compiles nothing"
    assert "not compiled" not in capsys.readouterr().out


_ONE_LIFE = """
import sys
from pathlib import Path
from easel.models import Store
from easel.studio.engine import Engine, TextToImage
engine = Engine(Store(Path(sys.argv[1]), hashing=False), compiles=True)
engine.start()
request = TextToImage(prompt="a red cup", width=64, height=64, steps=2, seed=7)
engine.submit("ada", request).result(600)[0].image.save(sys.argv[2])
print("SAID", engine.status().uncompiled)
from torch._dynamo.utils import counters
print("HITS", counters["inductor"]["fxgraph_cache_hit"], "MISSES", counters["inductor"]["fxgraph_cache_miss"])
engine.stop()
"""


def one_life(store: Store, picture: Path) -> str:
    """What a process says that draws one picture."""
    done = subprocess.run(
        [sys.executable, "-c", _ONE_LIFE, str(store.root), str(picture)],
        capture_output=True, text=True, timeout=800, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
@needs_compiler
@pytest.mark.timeout(900)
def test_a_restart_compiles_from_the_cache(store: Store, cache: Path, tmp_path: Path) -> None:
    """The second process finds all that the first one made, and draws the same."""
    pictures = [tmp_path / "first.png", tmp_path / "second.png"]
    lives = [one_life(store, picture) for picture in pictures]
    said = [next(line for line in life.splitlines() if line.startswith("HITS")).split() for life in lives]
    (_, hits, _, misses), (_, hits_again, _, misses_again) = said
    assert int(misses) > int(hits) == 0
    assert (int(hits_again), int(misses_again)) == (int(misses), 0)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("there", [False, True])
def test_without_a_compiler_pictures_are_drawn_as_ever(
    engine: Engine, store: Store, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """The same picture; the log says once why nothing was compiled, and so does the engine's status."""
    compiler = tmp_path / "c++"
    if there:  # and compiles nothing
        compiler.write_text("#!/bin/sh\nexit 1\n")
        compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    life = one_life(store, tmp_path / "drawn.png")
    assert life.count("not compiled: drawn as it is written") == 1
    (said,) = [line for line in life.splitlines() if line.startswith("SAID")]
    assert "SAID not compiled: " in said
    assert there or f"no C++ compiler: {compiler}" in said
    with Image.open(tmp_path / "drawn.png") as found:
        assert furthest(found, *drawn(engine, replace(SMALL, steps=2))) == 0
