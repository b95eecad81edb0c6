"""Two who want the same model at once: fetched once, and had by both."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from easel.models import Added, FetchProgress, Intake, Phase, Record, Store
from tests.models.conftest import QUICK
from tests.models.downloads import CONTENT, MB, target, wish
from tests.models.serving import Serving


def test_two_at_once_download_it_once(server: Serving, store: Store) -> None:
    """The second waits, sees the first one's progress, and has the file when the first has it."""
    served = server.put("/dream.safetensors", CONTENT, rate=1.0 * MB)
    seen: list[FetchProgress] = []
    results = []

    def one(watch: list[FetchProgress]) -> None:
        there = Store(store.root, hashing=False)
        results.append(Intake(there, limits=QUICK, watcher=watch.append).add(wish(server)))

    first = threading.Thread(target=one, args=([],))
    first.start()
    while served.sent < 65536:
        time.sleep(0.01)
    second = threading.Thread(target=one, args=(seen,))
    second.start()
    first.join()
    second.join()
    assert served.sent == len(CONTENT)
    assert sorted(result.fetched for result in results) == [False, True]
    waited = [progress for progress in seen if progress.phase is Phase.WAITING]
    assert waited
    assert any(progress.total == len(CONTENT) and progress.done for progress in waited)
    assert target(store).read_bytes() == CONTENT


@pytest.mark.parametrize("comes", ["on its way", "between name and record"])
def test_who_comes_second_finds_the_record(server: Serving, store: Store, comes: str) -> None:
    """A file without a record counts as put there by hand: the second must not see it so, however slow the
    store is with the first one's record."""
    served = server.put("/dream.safetensors", CONTENT, rate=8.0 * MB)

    class Slow(Store):
        def remember(self, path: Path, **said: str) -> Record:
            time.sleep(0.8)
            return super().remember(path, **said)

    def one(there: Store) -> Added:
        return Intake(there, limits=QUICK).add(wish(server))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one, Slow(store.root, hashing=False))
        while served.sent < 65536 or (comes != "on its way" and not target(store).exists()):
            time.sleep(0.01)
        second = pool.submit(one, Store(store.root, hashing=False))
        assert first.result().fetched
        assert not second.result().fetched
    assert served.sent == len(CONTENT)
