"""The page behind the real door while what it hangs on goes away: its studio, its right, its endpoint's being
awake."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway.conftest import IMAGE, House, until
from tests.studio.ui.conftest import ask_small, generate_button
from tests.studio.ui.test_create import generate, picture_of, stop_all, tickets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
STARTS_WITHIN = 240
REPLICAS = 3
AWAKE = {"replicas": {"min": 1, "max": 1}, "idle": 900}


class StudioHouse(House):
    """A gateway whose replicas are real studios."""

    environment: Mapping[str, str] = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(IMAGE)}
    replica = f"{sys.executable} -m easel.studio --port {{port}} --home {{home}} --endpoint {{endpoint}}"

    def studios(self) -> list[psutil.Process]:
        return [one for one in self.processes() if _is_studio(one)]

    def awake(self, name: str = "studio", count: int = 1) -> None:
        def ready() -> bool:
            return [one["state"] for one in self.endpoint(name)["replicas"]].count("ready") == count

        until(ready, STARTS_WITHIN, f"{count} replicas of {name} are ready")


def _is_studio(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return command[1:3] == ["-m", "easel.studio"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[StudioHouse]:
    """One endpoint, awake."""
    root = tmp_path_factory.mktemp("house")
    checkpoints = root / "models" / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    (checkpoints / starter.name).write_bytes(starter.read_bytes())
    one = StudioHouse(root, studio=AWAKE)
    one.start(wait=None)
    one.awake()
    yield one
    one.stop()


@pytest.fixture
def enter(house: StudioHouse, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the link, or another token's, in a browser of somebody's own."""
    contexts = []

    def opened(token: str = "") -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{house.url('studio')}/?token={token or house.token('studio')}")
        expect(generate_button(page)).to_be_enabled()
        return page

    yield opened
    for context in contexts:
        context.close()


def test_a_killed_studio_loses_no_ticket(house: StudioHouse, enter: Callable[..., Page]) -> None:
    """SIGKILL in the middle of a picture: the tab says so, recovers without a reload, and the same ticket
    brings its picture."""
    page = enter()
    ask_small(page, "outlives its studio", steps=60, side=256)
    generate(page)
    expect(tickets(page).first).to_have_attribute("data-state", "drawing")
    id = tickets(page).first.get_attribute("data-id")
    page.evaluate("window.same = true")
    (studio,) = house.studios()
    studio.send_signal(signal.SIGKILL)
    expect(page.locator(".connection")).to_be_visible()
    expect(page.locator(f".ticket[data-id='{id}']")).to_be_visible()
    house.awake()
    expect(page.locator(".connection")).to_have_count(0, timeout=60_000)
    expect(picture_of(page)).to_have_attribute("alt", re.compile("outlives its studio"), timeout=120_000)
    ended = page.evaluate("(id) => fetch(`jobs/${id}`).then((one) => one.json())", id)
    assert ended["state"] == "done"
    assert page.evaluate("window.same")


def test_signed_out_is_said_with_the_way_in(house: StudioHouse, enter: Callable[..., Page]) -> None:
    """Who signs out in one tab is told so in the other. Who signs in there with a token is somebody new, and
    finds nothing of theirs."""
    token = house.new_token("studio", "comes-back")
    page = enter(token)
    ask_small(page, "drawn before signing out")
    generate(page)
    expect(picture_of(page)).to_be_visible()
    ask_small(page, "typed before signing out")
    other = page.context.new_page()
    other.goto(house.url("studio"))
    _sign_out(other)
    page.get_by_label("Steps", exact=True).press("Control+Enter")
    said = page.locator(".connection[data-kind=signed-out], #said-generate")
    expect(said.first).to_contain_text("signed out")
    expect(
        page.locator(".connection[data-kind=signed-out]").get_by_role("link", name="Sign in")
    ).to_be_visible()
    page.locator(".connection").get_by_role("link", name="Sign in").click()
    page.locator("#token").fill(token)
    page.locator("#token").press("Enter")
    expect(generate_button(page)).to_be_enabled()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("")
    expect(page.locator(".film li")).to_have_count(0)
    assert "before signing out" not in page.locator("body").inner_text()


def test_an_open_tab_lets_its_endpoint_sleep_and_wakes_it(
    house: StudioHouse, enter: Callable[..., Page]
) -> None:
    """An idle tab's stream keeps nothing awake; the tab says that the endpoint sleeps, and how to wake it;
    awake again it is as before, with every field."""
    page = enter()
    ask_small(page, "typed before it slept")
    house.set("studio", replicas={"min": 0, "max": 1}, idle=3)
    try:
        until(lambda: house.state("studio") == "asleep", 120, "it sleeps with a tab open")
        away = page.locator(".connection[data-kind=asleep]")
        expect(away).to_contain_text("went to sleep")
        time.sleep(5)
        assert house.state("studio") == "asleep", "a tab that only waits wakes nothing"
        house.set("studio", **AWAKE | {"replicas": {"min": 0, "max": 1}})
        away.get_by_role("link", name="Wake it").click()
        expect(generate_button(page)).to_be_enabled(timeout=STARTS_WITHIN * 1000)
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed before it slept")
        generate(page)
        expect(picture_of(page)).to_be_visible()
    finally:
        house.set("studio", **AWAKE)
        house.awake()


def test_an_idle_tab_recovers_when_somebody_else_wakes_its_endpoint(
    house: StudioHouse, enter: Callable[..., Page], browser: Browser
) -> None:
    """Asleep, woken by another person, asleep again and woken again, and its studio killed: a tab that nobody
    touches says what is, and is as before each time, with its fields and picture."""
    page = enter(house.new_token("studio", "stays-open"))
    ask_small(page, "drawn before it slept")
    generate(page)
    expect(picture_of(page)).to_be_visible()
    page.get_by_label("Prompt", exact=True).fill("typed before it slept")
    page.evaluate("window.same = true")
    away = page.locator(".connection")
    try:
        for _ in range(2):
            house.set("studio", replicas={"min": 0, "max": 1}, idle=3)
            until(lambda: house.state("studio") == "asleep", 120, "it sleeps with a tab open")
            expect(away).to_have_attribute("data-kind", "asleep")
            house.set("studio", replicas={"min": 0, "max": 1}, idle=900)
            somebody = browser.new_context().new_page()
            somebody.goto(f"{house.url('studio')}/?token={house.token('studio')}")
            house.awake()
            _as_before(page)
            somebody.context.close()
        (studio,) = house.studios()
        studio.send_signal(signal.SIGKILL)
        expect(away).to_be_visible()
        house.awake()
        _as_before(page)
        generate(page)
        expect(page.locator(".film li:not(.all)")).to_have_count(2)
    finally:
        house.set("studio", **AWAKE)
        house.awake()


def _as_before(page: Page) -> None:
    """That nobody had to load it again, and nothing of it is lost."""
    expect(page.locator(".connection")).to_have_count(0, timeout=60_000)
    assert page.evaluate("window.same")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed before it slept")
    expect(picture_of(page)).to_have_attribute("alt", re.compile("drawn before it slept"))
    expect(page.locator(".film li:not(.all)")).to_have_count(1)
    expect(generate_button(page)).to_be_enabled()


def test_an_idle_tab_says_that_its_session_ended(house: StudioHouse, enter: Callable[..., Page]) -> None:
    """Signed out elsewhere: a tab that nobody touches says so by itself, with the way in. Where the next one
    who signs in in this browser is somebody else, it shows theirs, and keeps nothing of the one before."""
    page = enter(house.new_token("studio", "leaves"))
    ask_small(page, "typed by who leaves")
    other = page.context.new_page()
    other.goto(house.url("studio"))
    _sign_out(other)
    ended = page.locator(".connection[data-kind=signed-out]")
    expect(ended).to_contain_text("signed out")
    expect(ended.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed by who leaves")
    other.goto(f"{house.url('studio')}/?token={house.new_token('studio', 'comes')}")
    expect(generate_button(other)).to_be_enabled()
    expect(page.locator(".connection")).to_have_count(0)
    expect(generate_button(page)).to_be_enabled()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("")
    assert "by who leaves" not in page.locator("body").inner_text()


def _sign_out(page: Page) -> None:
    expect(generate_button(page)).to_be_enabled()
    page.get_by_role("button", name=re.compile("^Settings and help")).click()
    page.get_by_role("link", name="Sign out").click()
    if page.get_by_role("button", name=re.compile("Sign out")).count():
        page.get_by_role("button", name=re.compile("Sign out")).click()


def test_each_browser_stays_on_its_replica(house: StudioHouse, enter: Callable[..., Page]) -> None:
    """With three replicas, tickets, progress and pictures of each of three people are always there, whatever
    the other replicas do."""
    house.set("studio", replicas={"min": REPLICAS, "max": REPLICAS}, idle=900)
    try:
        house.awake(count=REPLICAS)
        people = [enter() for _ in range(REPLICAS)]
        for number, page in enumerate(people):
            ask_small(page, f"of person {number}", steps=150, side=512)
            generate(page)
        for number, page in enumerate(people):
            expect(tickets(page).first).to_have_attribute("data-state", "drawing")
            page.reload()
            expect(tickets(page)).to_have_count(1)
            expect(tickets(page)).to_contain_text(f"of person {number}")
            stop_all(page)
            expect(tickets(page)).to_have_count(0)
    finally:
        house.set("studio", **AWAKE)
