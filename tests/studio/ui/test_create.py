"""Create: from words to a picture, and everything on the way that must not be lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.studio.ui.conftest import LONG_SIDE, ask_long, ask_small, findings, generate_button, until


def tickets(page: Page):
    """The cards of the line."""
    return page.locator(".queue .ticket")


def picture_of(page: Page):
    """The finished picture on the stage."""
    return page.locator(".easel .view img")


def generate(page: Page, times: int = 1) -> None:
    """Press Generate, and wait for each ticket."""
    for _ in range(times):
        with page.expect_response(re.compile("/sdapi/v1/txt2img$")) as answer:
            generate_button(page).click()
        assert answer.value.status == 202, (answer.value.text(), answer.value.request.post_data)


def stop_all(page: Page) -> None:
    """Leave nothing behind that other tests would wait for."""
    for one in page.evaluate("fetch('jobs').then((all) => all.json()).then((all) => all.jobs)"):
        if one["state"] in ("queued", "loading", "drawing"):
            page.evaluate(
                "(id) => fetch(`jobs/${id}`, { method: 'DELETE' }).then((all) => all.ok)", one["id"]
            )


def test_a_newcomer_draws_by_one_press(visit) -> None:
    """Nothing typed, nothing set: the example that the field shows is drawn, and the title says when it is
    there."""
    page = visit("newcomer")
    example = page.get_by_label("Prompt", exact=True).get_attribute("placeholder")
    assert example
    expect(page.get_by_role("heading", name="Say what you want to see")).to_be_visible()
    # Nothing can be done with a picture that is not there.
    expect(page.locator(".actions .icon:visible")).to_have_count(0)
    generate(page)
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(example)
    expect(picture_of(page)).to_be_visible()
    expect(page.get_by_role("button", name="Vary", exact=True)).to_be_visible()
    expect(page).to_have_title("✓ Ready · Easel")
    page.mouse.move(300, 300)
    expect(page).to_have_title("Easel")
    until(page, "document.querySelector('.easel .view img').naturalWidth > 0")
    assert page.faults == []


def test_pressing_again_adds_a_ticket(visit, slowly) -> None:
    """Two presses are two tickets in their order, each with its place."""
    page = visit("twice")
    ask_long(page, "first of two")
    generate(page)
    page.get_by_label("Prompt", exact=True).fill("second of two")
    generate(page)
    expect(tickets(page)).to_have_count(2)
    expect(tickets(page).nth(0)).to_contain_text("first of two")
    expect(tickets(page).nth(1)).to_contain_text("Next")
    expect(page.get_by_role("progressbar")).to_be_visible()
    stop_all(page)
    expect(tickets(page)).to_have_count(0)
    assert page.faults == []


@pytest.mark.slow
def test_own_tickets_are_reordered(visit, slowly) -> None:
    """A waiting ticket is put before another by a button, without a mouse; one press ends all of them."""
    page = visit("reorders")
    ask_long(page, "in work")
    generate(page)
    for words in ("waits first", "waits second"):
        page.get_by_label("Prompt", exact=True).fill(words)
        generate(page)
    expect(tickets(page)).to_have_count(3)
    expect(tickets(page).nth(0)).to_have_attribute("data-state", "drawing")
    last = page.locator(".ticket", has_text="waits second")
    order = "[...document.querySelectorAll('.ticket')].map((one) => one.dataset.id)"
    id = last.get_attribute("data-id")
    last.get_by_role("button", name="Draw it earlier").press("Enter")
    until(page, f"{order}[1] === '{id}'")
    page.get_by_role("button", name="Stop all", exact=True).click()
    expect(tickets(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Stop all", exact=True)).to_have_count(0)


def test_a_reload_in_mid_picture_loses_nothing(visit, slowly) -> None:
    """The ticket, its progress and every field are there again, in this tab and in another one: what was
    typed at the last moment too, in a field that nobody left. What was unfolded is."""
    page = visit("reloader")
    ask_long(page, "kept over a reload")
    page.locator("details.negative summary").click()
    generate(page)
    expect(tickets(page)).to_have_count(1)
    page.get_by_label("Negative prompt", exact=True).fill("blurry")
    page.get_by_label("Seed", exact=True).fill("4711")
    page.reload()
    expect(tickets(page)).to_have_count(1)
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("kept over a reload")
    expect(page.get_by_label("Negative prompt", exact=True)).to_have_value("blurry")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("4711")
    expect(page.get_by_label("Width", exact=True)).to_have_value(str(LONG_SIDE))
    expect(page.get_by_label("Steps", exact=True)).to_be_visible()
    other = visit("reloader", beside=page)
    expect(tickets(other)).to_have_count(1)
    expect(other.get_by_role("progressbar")).to_be_visible()
    stop_all(page)
    for one in (page, other):
        expect(tickets(one)).to_have_count(0)
        assert one.faults == []


def test_cancelling(visit, slowly) -> None:
    """A ticket is taken out of the line by its button; Escape stops what is drawn, and keeps it."""
    page = visit("canceller")
    ask_long(page, "stopped in the middle")
    generate(page, times=2)
    expect(tickets(page)).to_have_count(2)
    tickets(page).nth(1).get_by_role("button", name="Take it out of the line").click()
    expect(tickets(page)).to_have_count(1)
    expect(tickets(page).first).to_have_attribute("data-state", "drawing")
    until(page, "Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > 2")
    page.locator(".stage .line").click()
    page.keyboard.press("Escape")
    expect(tickets(page)).to_have_count(0)
    expect(picture_of(page)).to_be_visible()
    page.get_by_role("button", name="1 note").click()
    expect(page.get_by_text("Stopped before the last step.")).to_be_visible()
    assert page.faults == []


def test_what_is_wrong_stands_beside_its_field(visit) -> None:
    """A number out of range is told and stays as it was typed; nothing is sent, its field gets the focus."""
    page = visit("wrong")
    ask_small(page, steps=9999)
    steps = page.get_by_label("Steps", exact=True)
    expect(page.locator("#said-steps")).to_have_text("At most 150.")
    page.locator("details.advanced > summary").click()
    generate_button(page).click()
    expect(steps).to_be_focused()
    expect(steps).to_have_value("9999")
    expect(steps).to_have_attribute("aria-invalid", "true")
    assert not [one for one in page.asked if one.endswith("txt2img")]
    steps.fill("2")
    expect(page.locator("#said-steps")).to_have_count(0)
    # A number that has a button is pressed, and not said twice.
    own = page.get_by_label("Another number of pictures", exact=True)
    for number, shown in (("3", "3"), ("4", ""), ("1", "")):
        own.fill(number)
        own.blur()
        expect(own).to_have_value(shown)
    generate(page)
    expect(picture_of(page)).to_be_visible()


def test_what_the_studio_refuses_stands_beside_its_field(visit) -> None:
    """What only the studio can know is said where it belongs, as well."""
    page = visit("refused")
    refusal = {
        "error": "InvalidRequest",
        "detail": [{"loc": ["body", "cfg_scale"], "msg": "no", "type": "value_error"}],
        "errors": "cfg_scale 7 is too much for this checkpoint: take 2 or less.",
    }
    page.route("**/sdapi/v1/txt2img", lambda route: route.fulfill(status=422, json=refusal))
    generate_button(page).click()
    expect(page.locator("#said-cfg_scale")).to_contain_text("take 2 or less")
    expect(page.get_by_label("CFG scale", exact=True)).to_be_focused()


def test_keys(visit) -> None:
    """Ctrl+Enter draws from any field; arrows go through the pictures; the film strip follows."""
    page = visit("keys")
    ask_small(page)
    for prompt in ("a red circle on blue", "a green square on white"):
        page.get_by_label("Prompt", exact=True).fill(prompt)
        with page.expect_response(re.compile("/sdapi/v1/txt2img$")):
            page.get_by_label("Steps", exact=True).press("Control+Enter")
    film = page.locator(".film li:not(.all) button")
    expect(film).to_have_count(2)
    expect(tickets(page)).to_have_count(0)
    page.locator(".stage .line").click()
    page.keyboard.press("ArrowRight")
    expect(film.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("ArrowLeft")
    expect(film.nth(0)).to_have_attribute("aria-current", "true")
    page.keyboard.press("f")
    expect(page.locator(".stage.full")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator(".stage.full")).to_have_count(0)
    page.get_by_role("button", name="Compare with another").click()
    expect(page.get_by_label("Where the line between the two pictures is")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Where the line between the two pictures is")).to_have_count(0)
    assert page.faults == []


def test_reusing_a_pictures_parameters(visit) -> None:
    """Prompt, seed and settings of a picture come back into the fields; the next picture is the same."""
    page = visit("reuser")
    ask_small(page, "a blue ring on white", steps=3)
    page.get_by_label("Seed", exact=True).fill("99")
    page.keyboard.press("Tab")
    generate(page)
    expect(picture_of(page)).to_be_visible()
    page.get_by_label("Prompt", exact=True).fill("something else")
    page.get_by_label("Steps", exact=True).fill("9")
    page.get_by_role("button", name="A random seed for each picture").click()
    page.get_by_role("button", name="Reuse its parameters").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a blue ring on white")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("3")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("99")
    expect(page.get_by_label("Width", exact=True)).to_have_value("64")
    page.get_by_role("button", name="Vary", exact=True).click()
    expect(page.locator(".film li:not(.all) button")).to_have_count(2)
    assert page.faults == []


def test_faces_are_asked_for(visit) -> None:
    """Restored, and drawn over by a prompt of their own: A1111's field, and a unit of ADetailer's."""
    page = visit("portraitist")
    ask_small(page, "a face")
    page.get_by_label("Restore faces").check()
    page.get_by_label("Detail faces").check()
    page.get_by_label("Prompt for faces").fill("old and wise")
    page.keyboard.press("Tab")
    with page.expect_request(re.compile("/sdapi/v1/txt2img$")) as asked:
        generate_button(page).click()
    body = asked.value.post_data_json
    assert body["restore_faces"] is True
    assert body["alwayson_scripts"]["ADetailer"]["args"] == [
        {"ad_model": "RetinaFace", "ad_prompt": "old and wise", "ad_denoising_strength": 0.4}
    ]
    assert page.faults == []


def test_nothing_jumps_or_scrolls_by_itself(visit) -> None:
    """From opening to the second picture, what is on the page stays where it is; a phone never scrolls
    sideways. Another place begins at its top, and Create is where it was left."""
    for width, height in ((1280, 800), (390, 844)):
        page = visit(f"still-{width}", width, height)
        ask_small(page)
        page.evaluate("scrollTo(0, 0)")
        for count in (1, 2):
            generate(page)
            expect(page.locator(".film li:not(.all) button")).to_have_count(count)
        expect(tickets(page)).to_have_count(0)
        assert page.evaluate("window.shifted") < 0.1, page.evaluate("window.shiftedBy")
        assert page.evaluate("scrollY") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.faults == []
    page.evaluate("scrollTo(0, 300)")
    for place, top in (("Gallery", 0), ("Models", 0), ("Create", 300)):
        page.get_by_role("link", name=place, exact=True).click()
        expect(page.locator(f".place[data-place={place.lower()}]")).to_be_visible()
        until(page, "(top) => scrollY === top", top)


def test_the_picture_fits_the_window(visit) -> None:
    """At 1280 × 800 nothing of picture, strip and Generate is below the edge."""
    page = visit("fits")
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    picture = picture_of(page).bounding_box()
    assert picture["height"] > 550
    assert picture["y"] + picture["height"] < 700
    button = generate_button(page).bounding_box()
    assert button["y"] + button["height"] <= 800


def test_axe_has_no_finding(visit) -> None:
    """Empty, with a picture, with all folds open and a fault; light and dark, desktop and phone."""
    for width, height, scheme in ((1280, 800, "light"), (390, 844, "dark")):
        page = visit(f"axe-{scheme}", width, height, scheme)
        assert findings(page) == []
        ask_small(page)
        generate(page)
        expect(picture_of(page)).to_be_visible()
        page.get_by_label("Steps", exact=True).fill("9999")
        assert findings(page) == []


def test_a_lost_connection_loses_nothing(visit) -> None:
    """What cannot be sent is said over Generate and stays in the fields; when there is a network again the
    page finds out by itself, even where its stream never broke, and one press draws it, without a reload."""
    page = visit("cut-off")
    ask_small(page, "typed without a net")
    page.context.set_offline(True)
    generate_button(page).click()
    expect(page.locator("#said-generate")).to_contain_text("does not answer")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("typed without a net")
    expect(page.locator(".connection")).to_contain_text("does not answer")
    edges = "['.connection', '.ask'].map((one) => document.querySelector(one).getBoundingClientRect())"
    assert page.evaluate(f"(([said, typed]) => said.left >= typed.right)({edges})"), "over the fields"
    page.context.set_offline(False)
    expect(page.locator(".connection")).to_have_count(0)
    generate(page)
    expect(page.locator("#said-generate")).to_have_count(0)
    expect(picture_of(page)).to_be_visible()


def test_what_can_be_done_with_a_picture(visit) -> None:
    """A star and a link are made, a variation is drawn beside its picture, the file is downloaded with its
    parameters inside, and what is deleted is gone, after a question."""
    page = visit("does-things")
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    page.get_by_role("button", name="Star", exact=True).click()
    expect(page.get_by_role("button", name="Star", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.locator(".notice")).to_contain_text(re.compile("Link copied|#shared/"))
    # As at an address without HTTPS.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.locator(".notice", has_text="#shared/").first).to_be_visible()
    download = page.get_by_role("link", name="Download")
    assert download.get_attribute("download").endswith(".png")
    file = "(link) => fetch(link).then((one) => one.text()).then((text) => text.slice(0, 200))"
    assert "parameters" in page.evaluate(file, download.get_attribute("href"))
    film = page.locator(".film li:not(.all) button")
    with page.expect_request(re.compile("/sdapi/v1/txt2img$")) as varied:
        page.get_by_role("button", name="Vary", exact=True).click()
    assert varied.value.post_data_json["subseed_strength"] > 0
    expect(film).to_have_count(2)
    expect(tickets(page)).to_have_count(0)
    page.locator(".stage .line").click()
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Keep it").click()
    expect(film).to_have_count(2)
    page.get_by_role("button", name="Delete", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(film).to_have_count(1)
    assert page.faults == []


def test_zooming(visit) -> None:
    """The wheel enlarges, a double click fits again; plus and 0 do so without a mouse."""
    page = visit("zooms")
    ask_small(page)
    generate(page)
    expect(picture_of(page)).to_be_visible()
    fitted = picture_of(page).bounding_box()["width"]
    view = page.locator(".view")
    view.hover()
    page.mouse.wheel(0, -300)
    until(page, f"document.querySelector('.view img').getBoundingClientRect().width > {fitted * 1.5}")
    view.dblclick()
    until(page, f"document.querySelector('.view img').getBoundingClientRect().width < {fitted + 1}")
    view.focus()
    page.keyboard.press("+")
    until(page, f"document.querySelector('.view img').getBoundingClientRect().width > {fitted * 1.1}")
    page.keyboard.press("0")
    until(page, f"document.querySelector('.view img').getBoundingClientRect().width < {fitted + 1}")
    assert page.evaluate("scrollY") == 0


def test_a_visit_is_cheap(visit) -> None:
    """At most 40 requests and 350 kB until one can draw, everything counted; the second visit 60 kB."""
    fetched = """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
      .reduce((sum, one) => sum + one.transferSize, 0)"""
    page = visit("counted")
    page.wait_for_timeout(1000)
    assert len(page.asked) <= 40, page.asked
    assert page.evaluate(fetched) <= 350_000
    page.reload()
    expect(generate_button(page)).to_be_enabled()
    page.wait_for_timeout(1000)
    assert page.evaluate(fetched) <= 60_000
