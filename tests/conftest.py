"""What holds for all tests."""

import atexit
import gc
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# Where no bytecode may be written, as containers often say, every process compiles a thousand modules anew:
# torch and diffusers take 13 s of CPU to import instead of 5, and tests start a hundred processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What takes longest for one file begins first, so that no process is left with it alone in the end. Then what
# computes all the time and what mostly waits for processes that it started take turns, for no core to be idle
# at one time and fought over at another.
FIRST = ("tests/image/", "tests/e2e/", "tests/scripts/test_up")
COMPUTES = ("tests/studio/ui/", "tests/studio/api/", "tests/studio/", "tests/models/", "tests/starter/")
WAITS = ("tests/scripts/", "tests/gateway/", "tests/")

BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
if BESIDE_OTHERS:
    # One thread for each of the processes side by side: two that share two cores with two threads each wait
    # for one another at every turn, and take five times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A logged exception is a traceback as Python writes it, as in every process of ours: drawn by rich, with all
# that each frame knows, it took half a second of CPU, a third of what tests of failing jobs took.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# A busy machine is no fault: what must be fast is measured on purpose, elsewhere.
settings.register_profile("easel", deadline=None)
settings.load_profile("easel")

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing of the cluster's tests is imported where none of them runs."""
    left_out = collection_path == HERE / "cluster" and "not cluster" in config.option.markexpr
    return True if left_out else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Thin what is marked so; side by side, put files into the order that keeps all cores busy to the end."""
    _thin(items)
    if BESIDE_OTHERS:
        _order(items)


def _thin(items: list[pytest.Item]) -> None:
    """Of a function marked `thinned(n)` each nth case is for every day, and the others are slow: forty-five
    that draw the same way take as long as ten files."""
    seen: Counter[str] = Counter()
    for item in items:
        if (mark := item.get_closest_marker("thinned")) is not None:
            function = item.nodeid.partition("[")[0]
            if seen[function] % mark.args[0]:
                item.add_marker("slow")
            seen[function] += 1


def _order(items: list[pytest.Item]) -> None:
    lanes: dict[tuple[str, ...], list[tuple[int, str]]] = {FIRST: [], COMPUTES: [], WAITS: []}
    for file in dict.fromkeys(item.nodeid.partition("::")[0] for item in items):
        found = ((lane, rank) for lane in lanes for rank, one in enumerate(lane) if file.startswith(one))
        lane, rank = next(found)
        lanes[lane].append((rank, file))
    place = {
        file: number / len(files) - (lane is FIRST)
        for lane, files in lanes.items()
        for number, (_, file) in enumerate(sorted(files))
    }
    items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what importing has made: it would go through it at every turn."""
    gc.freeze()
    gc.enable()


# What is imported stays: looking for what does not takes a fifth of the time until the first test.
gc.disable()
if BESIDE_OTHERS:
    # What libraries do at the end is done by then; taking all of them apart after it takes 4 s of CPU.
    atexit.register(os._exit, 0)
else:
    # Given back at the very end, or extension modules complain of what nobody freed.
    atexit.register(gc.unfreeze)
