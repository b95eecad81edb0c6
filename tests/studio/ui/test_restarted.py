"""Who comes back to the page after the studio was restarted reads what became of their pictures."""

from __future__ import annotations

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
    expect(page.locator(".stage .facts")).to_contain_text("77")
    notices = page.get_by_role("region", name="Messages")
    expect(notices).to_contain_text("The studio was restarted, and drew 1 picture again.")
    failed = notices.get_by_role("alert")
    expect(failed).to_contain_text("Not drawn: “a red circle on blue” (64x64, seed 77)")
    expect(failed).to_contain_text("ended 2 times")
    page.reload()
    expect(page.locator(".stage .facts")).to_contain_text("77")
    assert notices.locator(".notice").count() == 0
    assert "restarted" not in visit("somebody-else").locator("body").inner_text()
