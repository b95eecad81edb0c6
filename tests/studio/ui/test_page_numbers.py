"""What the page may cost, and what may never be wrong with it: every place, both sizes, both looks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.studio.ui.conftest import AXE, ask_long, ask_small, generate_button, until
from tests.studio.ui.test_create import generate, picture_of, stop_all, tickets

pytestmark = pytest.mark.timeout(300)
IDLE_MINUTES = 10
FIRST_VISIT, FIRST_REQUESTS = 350_000, 40
SECOND_VISIT = 60_000
SHIFT = 0.1
# A finger's and WCAG 2.2's least (2.5.8); links within a text are let off there, too.
TARGET = 24
SMALL_TARGETS = """
(least) => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")].flatMap(
(one) => {
  const label = one.matches("input") ? one.closest("label") ?? one.labels?.[0] : null;
  const boxes = [one, label].filter(Boolean).map((all) => all.getBoundingClientRect());
  const shown = one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  // A skip link out of the window is seen, and measured, when it has the focus.
  if (!shown || boxes[0].width < 2 || boxes[0].bottom < 0) return [];
  if (one.matches("p a, small a, dd a")) return [];
  if (boxes.some((box) => box.width >= least - 0.5 && box.height >= least - 0.5)) return [];
  return [`${one.localName}.${one.className} "${(one.ariaLabel ?? one.textContent).trim().slice(0, 30)}" ` +
    boxes.map((box) => `${box.width.toFixed()}x${box.height.toFixed()}`).join(" in ")];
})
"""
VIOLATIONS = """
(runOnly) => axe.run(document, { resultTypes: ["violations"], ...(runOnly ? { runOnly } : {}) }).then(
  (all) => all.violations.map((one) =>
    `${one.id} (${one.impact}): ${one.nodes.slice(0, 5).map((each) => each.target[0])}`))
"""


def visited(page: Page, address: str) -> tuple[int, int]:
    """Bytes as they came over the wire, and requests that went over it, until Generate can be pressed."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    sizes: list[float] = []
    cdp.on("Network.loadingFinished", lambda one: sizes.append(one["encodedDataLength"]))
    page.goto(address)
    expect(generate_button(page)).to_be_enabled()
    page.wait_for_load_state("load")
    page.wait_for_timeout(500)
    return round(sum(sizes)), sum(size > 0 for size in sizes)


def test_a_visit_is_light(running, browser: Browser) -> None:
    """The first at most 350 kB in 40 requests; the next finds the page's files in the browser."""
    context = browser.new_context(extra_http_headers={"X-Easel-User": "light"})
    first, requests = visited(context.new_page(), running.url)
    again, _ = visited(context.new_page(), running.url)
    context.close()
    assert first <= FIRST_VISIT
    assert requests <= FIRST_REQUESTS
    assert again <= SECOND_VISIT


def test_an_idle_page_asks_for_nothing(visit) -> None:
    """Ten minutes of its clock, with every place opened and a picture there: at most two requests a minute.
    What comes is the one stream's: tests/studio/api/jobs/test_events.py."""
    page = visit("idles", clock=True)
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    for place in ("Gallery", "Models", "Create"):
        page.get_by_role("link", name=place, exact=True).click()
        expect(page.locator(f".place[data-place={place.lower()}]")).to_be_visible()
    page.wait_for_load_state("load")
    page.clock.run_for(5_000)
    page.wait_for_timeout(1_000)
    before = len(page.asked)
    page.clock.run_for(IDLE_MINUTES * 60_000)
    page.wait_for_timeout(500)
    assert len(page.asked) - before <= 2 * IDLE_MINUTES, page.asked[before:]
    assert page.faults == []


def wrong(page: Page) -> list[str]:
    """What is wrong with the page as it is: by axe in both looks, targets too small, a page wider than its
    window."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.evaluate(AXE.read_text())
    found = page.evaluate(VIOLATIONS)
    found += page.evaluate(SMALL_TARGETS, TARGET)
    if (width := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
        found.append(f"{width} px wider than the window")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    # Of axe's rules only the contrast depends on the look.
    found += [f"dark: {one}" for one in page.evaluate(VIOLATIONS, ["color-contrast"])]
    return found


def states(page: Page) -> Iterator[str]:
    """Bring the page from one state to the next."""
    yield "empty"
    ask_long(page)
    generate(page)
    expect(tickets(page).first).to_have_attribute("data-state", "drawing")
    yield "drawing"
    stop_all(page)
    expect(tickets(page)).to_have_count(0)
    ask_small(page)
    generate(page)
    expect(tickets(page)).to_have_count(0)
    expect(picture_of(page)).to_be_visible()
    yield "picture"
    page.get_by_role("button", name=re.compile("^Settings and help")).click()
    expect(page.locator("#person-menu")).to_be_visible()
    yield "person's menu"
    page.get_by_role("button", name="Help and keys").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "help"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    for place in ("Gallery", "Models"):
        page.get_by_role("link", name=place, exact=True).click()
        expect(page.locator(f".place[data-place={place.lower()}]")).to_be_visible()
        page.wait_for_timeout(500)
        yield place


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_is_wrong_anywhere(visit, slowly, width: int, height: int) -> None:
    """axe's every rule, targets of 24 px, no scrolling sideways, nothing that jumps, no error in the console
    (a breach of the policy is one)."""
    page = visit(f"walks-{width}", width, height)
    found = [f"{state}: {one}" for state in states(page) for one in wrong(page)]
    assert found == [], "\n".join(found)
    assert page.evaluate("window.shifted") < SHIFT
    assert page.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_is_wrong_in_any_mode(visit, width: int, height: int) -> None:
    """The same of each mode as one finds it, and with everything unfolded."""
    page = visit(f"modes-{width}", width, height)
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    found = []
    for mode in page.locator(".modes label").all():
        name = mode.inner_text().strip()
        mode.click()
        page.wait_for_timeout(800)
        found += [f"{name}: {one}" for one in wrong(page)]
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        page.wait_for_timeout(300)
        found += [f"{name}, unfolded: {one}" for one in wrong(page)]
    assert found == [], "\n".join(found)
    assert page.faults == []


FOCUSED = """
() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    name: (one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent).replace(/\\s+/g, " ").trim(),
    seen: box.width > 0 && box.bottom > 0 && box.right > 0,
    marked: style.outlineStyle !== "none" || style.boxShadow !== "none",
  };
}
"""


def test_tab_goes_from_bar_to_prompt_to_generate(visit) -> None:
    """In the order that one reads in; whatever has the focus is in view and marked; the skip link leads past
    the bar."""
    page = visit("tabs")
    stops = []
    while not stops or not stops[-1]["name"].startswith("Generate"):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
        assert len(stops) < 40, [one["name"] for one in stops]
    assert [one["name"] for one in stops if not (one["seen"] and one["marked"])] == []
    names = [one["name"] for one in stops]
    order = [
        "To the page's content",
        "Create",
        "Gallery",
        "Models",
        "Checkpoint",
        "Settings and help",
        "Prompt",
    ]
    places = [next(at for at, name in enumerate(names) if name.startswith(one)) for one in order]
    assert places == sorted(places), names
    assert names[0] == order[0]
    page.reload()
    expect(generate_button(page)).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_escape_closes_what_is_open(visit) -> None:
    """Menu, help, tooltip, full screen, a question, a picture of the gallery: one press each, and the focus
    is not lost."""
    page = visit("escapes")
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    expect(tickets(page)).to_have_count(0)
    menu, dialog = page.locator("#person-menu"), page.locator("dialog[open]")
    person = page.get_by_role("button", name=re.compile("^Settings and help"))
    person.click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(person).to_be_focused()
    page.locator(".stage .line").click()
    page.keyboard.press("?")
    expect(dialog).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    generate_button(page).hover()
    tip = page.get_by_role("tooltip")
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator(".stage .line").click()
    page.keyboard.press("f")
    expect(page.locator(".stage.full")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".stage.full")).to_have_count(0)
    page.locator(".stage .line").click()
    page.keyboard.press("Delete")
    expect(dialog).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(picture_of(page)).to_be_visible()
    page.get_by_role("link", name="Gallery", exact=True).click()
    page.locator(".place[data-place=gallery] .grid button, .place[data-place=gallery] .tile").first.click()
    expect(dialog).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    until(page, "document.activeElement !== document.body")
    assert page.faults == []
