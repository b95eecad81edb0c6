"""Tests side by side: each process looks at the same files, begins elsewhere, and comes to the same order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest

ROOT = Path(__file__).resolve().parent.parent
EVERY_DAY = "not slow and not cluster"


def asked(*paths: str, marked: str = EVERY_DAY) -> Any:
    """A configuration as pytest gives it."""
    return SimpleNamespace(
        args=list(paths),
        invocation_params=SimpleNamespace(dir=ROOT),
        option=SimpleNamespace(markexpr=marked),
    )


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_each_looks_at_every_file_and_begins_where_no_other_does(count: int) -> None:
    """So that what nobody has compiled yet is compiled once and not by each."""
    found = [conftest._begun_elsewhere(asked("tests"), number, count) for number in range(count)]
    every = {str(one) for one in (ROOT / "tests").rglob("test_*.py")}
    for files in found:
        assert len(files) == len(set(files))
        assert set(files) == {one for one in every if "/tests/cluster/" not in one}
    assert len({files[0] for files in found}) == count


def test_the_clusters_tests_are_looked_at_where_they_are_asked_for() -> None:
    """`make cluster` finds them; what names tests or files is left as it is."""
    assert conftest._begun_elsewhere(asked("tests/cluster", marked="cluster"), 0, 1)
    for named in ("tests/test_make.py", "tests/test_make.py::test_help"):
        assert conftest._begun_elsewhere(asked(named), 1, 2) == [named]


def test_the_order_does_not_depend_on_where_one_began() -> None:
    """xdist gives up where two processes have their tests in different orders."""
    orders = set()
    for number in range(4):
        files = conftest._begun_elsewhere(asked("tests"), number, 4)
        items: Any = [
            SimpleNamespace(nodeid=f"{Path(one).relative_to(ROOT)}::test_{n}")
            for one in files
            for n in (0, 1)
        ]
        conftest._order(items)
        orders.add(tuple(item.nodeid for item in items))
    assert len(orders) == 1
