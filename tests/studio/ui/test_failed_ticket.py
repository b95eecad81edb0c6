"""A ticket whose picture cannot be drawn: what is said of it, and where."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.studio.ui.conftest import ask_small, generate_button
from tests.studio.ui.test_create import generate


def test_a_failed_ticket_says_why_and_what_to_do(visit) -> None:
    """Card and stage say what happened, in words; it goes when it was read, and stays away over a reload. The
    answer that it waits comes behind the word that it failed, as on a busy machine."""
    page = visit("failing")
    failed = page.locator(".ticket[data-state=failed]")

    def late(route: Route) -> None:
        answer = route.fetch()
        page.wait_for_timeout(1000)
        route.fulfill(response=answer)

    page.route("**/sdapi/v1/txt2img", late)
    page.get_by_label("Checkpoint", exact=True).select_option("short.safetensors")
    ask_small(page, "will not be drawn")
    generate(page)
    expect(failed).to_contain_text("will not be drawn")
    expect(page.locator(".easel")).to_contain_text("the file is cut short")
    expect(page.locator(".easel")).to_contain_text("download it again")
    failed.get_by_role("button", name="Dismiss").click()
    expect(failed).to_have_count(0)
    page.reload()
    expect(generate_button(page)).to_be_enabled()
    expect(failed).to_have_count(0)
