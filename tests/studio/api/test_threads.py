"""What is done on which thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from easel.studio.api.requests import answer_format
from tests.studio.conftest import Running


def test_no_file_is_made_on_the_thread_that_draws(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG of 1024x1024 takes as long as steps do: it is made beside the next ones."""
    real, threads = answer_format.encode_png, []

    def noted(*args: Any, **kwargs: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return real(*args, **kwargs)

    monkeypatch.setattr(answer_format, "encode_png", noted)
    assert running.draw("ada", batch_size=2, save_images=True).status_code == 200
    assert len(threads) >= 2
    assert "engine" not in threads
