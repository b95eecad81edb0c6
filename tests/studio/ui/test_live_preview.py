"""What the stage says, and that nobody's words become HTML."""

from __future__ import annotations

from dataclasses import replace

import pytest

from easel.studio.engine import InvalidRequest, JobState, ProgressReport
from easel.studio.ui import live_preview
from easel.studio.ui.form import Form

RUNNING = ProgressReport(JobState.RUNNING, 0.5, 9, 20, 0, 1, 0, 12.3, None, "")
FIELDS = Form("x", "", "Euler a", "Automatic", 20, 7, 128, 128, 1, 1, -1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "50 % · step 10 of 20 · about 12 s left"),
        ({"pictures": 4, "finished": 1}, "50 % · picture 2 of 4 · step 10 of 20 · about 12 s left"),
        ({"eta": 0.4}, "50 % · step 10 of 20 · almost there"),
        ({"eta": 300}, "50 % · step 10 of 20 · about 5 min left"),
        ({"state": JobState.QUEUED, "ahead": 2}, "In the queue: 2 requests ahead of yours"),
        ({"state": JobState.QUEUED, "ahead": 1}, "In the queue: 1 request ahead of yours"),
        ({"state": JobState.QUEUED}, "Waiting for the engine…"),
        ({"state": JobState.LOADING, "detail": "loading x"}, "Loading x…"),
    ],
)
def test_how_far_it_is(change, words) -> None:
    """Step, picture, time left, or the place in the queue: in words."""
    assert live_preview.words(replace(RUNNING, **change)) == words


def test_words_are_escaped() -> None:
    """Names and messages are text on the page, whatever is in them."""
    evil = "<img src=x onerror=alert(1)>"
    assert "<img" not in live_preview.notice(evil)
    assert "<img" not in live_preview.notice(evil, bad=True)
    assert evil not in live_preview.running(replace(RUNNING, state=JobState.LOADING, detail=evil), "", 8, 8)


@pytest.mark.parametrize("field", ["steps", "cfg_scale", "width", "height", "batch_count", "batch_size"])
def test_an_empty_number_is_told(field) -> None:
    """A number field that was cleared is named, not guessed."""
    with pytest.raises(InvalidRequest) as caught:
        replace(FIELDS, **{field: None}).request(None)
    assert caught.value.field == field


def test_an_empty_seed_is_random() -> None:
    """No seed is a new one."""
    assert replace(FIELDS, seed=None).request(None).seed == -1
