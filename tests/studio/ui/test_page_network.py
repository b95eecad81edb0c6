"""What lies between the page and its studio: it may break, and it may have a path of its own."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from easel.gateway import pages
from tests.studio.ui.conftest import ask_long, ask_small, generate_button, until
from tests.studio.ui.proxy import line, mounted
from tests.studio.ui.test_create import generate, picture_of, stop_all, tickets

ASKED = re.compile(r"/(jobs|studio/session|sdapi/v1/txt2img)$")


@pytest.mark.slow
def test_a_cut_line_is_said_and_all_is_as_before_when_it_is_back(running, visit, slowly) -> None:
    """The tab says that it is lost, keeps the fields, and without a reload shows the ticket that went on
    meanwhile, and the next one."""
    port = urlsplit(running.url).port
    assert port
    with line(port) as wire:
        page = visit("cut-line", at=wire.url)
        ask_long(page, "drawn behind a cut line")
        generate(page)
        expect(tickets(page).first).to_have_attribute("data-state", "drawing")
        page.evaluate("window.same = true")
        wire.cut()
        expect(page.locator(".connection")).to_contain_text("does not answer")
        page.get_by_label("Prompt", exact=True).fill("typed while it was cut")
        with running.ask("cut-line") as behind:
            before = behind.get("/jobs").json()["jobs"][0]
            assert before["state"] == "drawing"
        wire.mend()
        expect(page.locator(".connection")).to_have_count(0)
        expect(page.locator(f".ticket[data-id='{before['id']}']")).to_have_attribute("data-state", "drawing")
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed while it was cut")
        ahead = page.evaluate("Number(document.querySelector('[role=progressbar]').ariaValueNow)")
        until(page, "(ahead) => document.querySelector('[role=progressbar]')?.ariaValueNow > ahead", ahead)
        stop_all(page)
        expect(tickets(page)).to_have_count(0)
        ask_small(page, "typed while it was cut")
        generate(page)
        expect(picture_of(page)).to_have_attribute("alt", re.compile("typed while it was cut"))
        assert page.evaluate("window.same")


def refused(said: dict[str, Any], route: Route) -> None:
    """Answer as the door does."""
    route.fulfill(**said)


@pytest.mark.slow
def test_what_the_door_says_is_said_in_words(visit) -> None:
    """That the endpoint makes room for another replica, or does not start at all: no line that is lost, and
    nothing that trying again would help. All is as before once it is there."""
    page = visit("at-the-door")
    ask_small(page, "typed before it drained")
    states = {"draining": "finishes its work", "failed": "does not start", "loading": "is waking up"}
    for state, words in states.items():
        answer = pages.error(503, "the endpoint is not ready yet", kind=state)
        said = {"status": answer.status_code, "headers": dict(answer.headers), "body": bytes(answer.body)}
        page.context.route(ASKED, partial(refused, said))
        generate_button(page).click()
        expect(page.locator(".connection")).to_contain_text(words)
        expect(page.locator("#said-generate")).to_contain_text(words)
        page.context.unroute(ASKED)
        expect(page.locator(".connection")).to_have_count(0)
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed before it drained")


def test_below_a_path_everything_works(running, visit) -> None:
    """Behind a server that mounts it below /some/path nothing is asked for outside of it: drawing, the
    picture itself, every place, and a reload in one."""
    with mounted(running.url, "/some/path") as address:
        page = visit("below-a-path", at=address)
        ask_small(page)
        generate(page)
        expect(picture_of(page)).to_be_visible()
        until(page, "document.querySelector('.easel .view img').naturalWidth > 0")
        for place in ("Gallery", "Models"):
            page.get_by_role("link", name=place, exact=True).click()
            expect(page.locator(f".place[data-place={place.lower()}]")).to_be_visible()
        page.get_by_role("link", name="Gallery", exact=True).click()
        page.reload()
        expect(page.locator(".grid img, .tile img").first).to_be_visible()
        own = [one for one in page.asked if not one.startswith(("data:", "blob:"))]
        assert [one for one in own if not one.startswith(f"{address}/")] == []
        assert page.lost == []
        assert page.faults == []
