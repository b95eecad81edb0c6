"""Who comes back to the page after the studio was restarted reads what became of their pictures."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from easel.studio.durable_jobs import JobJournal, JobRecord
from easel.studio.engine import TextToImage

GONE = "c" * 32
ASKED = TextToImage(prompt="a red circle on blue", width=64, height=64, steps=3, seed=77)


def test_what_was_accepted_is_in_the_gallery(running, visit) -> None:
    """A picture that a killed process had accepted is drawn, shown with its parameters, and told of once; one
    that could not be drawn is told of in words, to its owner alone."""
    durable_jobs = running.studio.durable_jobs
    left = JobJournal(running.studio.outputs.folder / ".accepted")
    now = time.time()
    left.write(JobRecord(id="a" * 32, owner="returner", by=GONE, at=now, request=ASKED))
    left.write(JobRecord(id="b" * 32, owner="returner", by=GONE, at=now, request=ASKED, begun=True, tries=1))
    left.close()
    assert durable_jobs.resume() == 1
    until = time.monotonic() + 60
    while durable_jobs._again and time.monotonic() < until:
        time.sleep(0.05)
    page = visit("returner")
    expect(page.locator("#parameters textarea")).to_have_value(re.compile("Seed: 77,"))
    expect(page.locator("#stage .notice").first).to_be_visible()
    words = page.locator("#stage").inner_text()
    assert "The studio was restarted, and drew 1 picture again." in words
    assert "Not drawn: “a red circle on blue” (64x64, seed 77)" in words
    assert "ended 2 times" in page.locator("#stage .notice.bad").inner_text()
    page.reload()
    expect(page.locator("#parameters textarea")).to_have_value(re.compile("Seed: 77,"))
    assert page.locator("#stage .notice").count() == 0
    assert "restarted" not in visit("somebody-else").locator("#stage").inner_text()
