"""What holds for all tests."""

import gc
import os
import sys

import pytest
from hypothesis import settings

# Where no bytecode may be written, as containers often say, every process compiles a thousand modules anew:
# torch and diffusers take 13 s of CPU to import instead of 5, and tests start a hundred processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What takes longest for one file begins first, so that no process is left with it alone in the end.
FIRST = ("tests/image/", "tests/studio/", "tests/e2e/", "tests/scripts/")

BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
if BESIDE_OTHERS:
    # One thread for each of the processes side by side: two that share two cores with two threads each wait
    # for one another at every turn, and take five times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no fault: what must be fast is measured on purpose, elsewhere.
settings.register_profile("easel", deadline=None)
settings.load_profile("easel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, put the tests of FIRST's folders before all others, in its order."""
    if BESIDE_OTHERS:
        items.sort(
            key=lambda item: next(
                (place for place, one in enumerate(FIRST) if item.nodeid.startswith(one)), 9
            )
        )


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what importing has made: it would go through it at every turn."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Give it back, or extension modules complain at the end of what nobody freed."""
    gc.unfreeze()
