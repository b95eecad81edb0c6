"""Whoever goes by Tab sees where they are: everywhere a ring, whole, and nothing over it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.studio.ui.conftest import ask_small, generate_button
from tests.studio.ui.modes import choose

# Of what has the focus: whether it has a ring, what cuts that, what lies over its middle.
LOOK = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const look = getComputedStyle(one), box = one.getBoundingClientRect();
  const unseen = one.matches(".sr, .skip");
  const width = parseFloat(look.outlineOffset) + parseFloat(look.outlineWidth);
  const ring = look.outlineStyle === "none" ? 0 : width;
  const drawn = [one, one.closest("label")].some((at) => at && getComputedStyle(at).outlineStyle !== "none");
  const grown = Math.max(0, ring) - 0.5, cut = [];
  for (let around = one.parentElement; around && around !== document.body; around = around.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(around), frame = around.getBoundingClientRect();
    if (unseen || (overflowX === "visible" && overflowY === "visible")) continue;
    for (const side of ["left", "top"]) if (box[side] - grown < frame[side]) cut.push(side);
    for (const side of ["right", "bottom"]) if (box[side] + grown > frame[side]) cut.push(side);
  }
  const over = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const hidden = !unseen && over && !one.contains(over) && !over.contains(one) ? over.className : "";
  const name = `${one.localName}.${one.className} ${one.ariaLabel ?? one.textContent.trim().slice(0, 20)}`;
  return { name, drawn, cut, hidden };
}
"""


def walk(page: Page, stops: int) -> list[str]:
    """What is wrong at the next so many stops of Tab."""
    wrong = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        seen = page.evaluate(LOOK)
        if seen and (seen["cut"] or seen["hidden"] or not seen["drawn"]):
            wrong.append(f"{seen['name']}: {seen['cut']} {seen['hidden']}")
    return wrong


@pytest.mark.slow
def test_no_ring_is_cut_or_covered(visit) -> None:
    """On Create with a picture, over a canvas, in the gallery and in its close look. In the gallery arrows
    bring a tile out from under what stands still above it."""
    page = visit("walker")
    ask_small(page)
    generate_button(page).click()
    expect(page.locator(".film li:not(.all) button")).to_have_count(1)
    expect(page.locator(".queue .ticket")).to_have_count(0)
    page.evaluate("document.activeElement.blur()")
    assert walk(page, 45) == []
    choose(page, "sketch")
    expect(page.locator(".paint-tools")).to_be_visible()
    assert walk(page, 30) == []
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(page.locator(".tile")).to_have_count(1)
    assert walk(page, 14) == []
    page.locator(".tile").focus()
    page.keyboard.press("ArrowRight")
    tile = page.locator(".tile")
    ring = tile.evaluate("(one) => getComputedStyle(one).outlineOffset")
    assert float(ring.removesuffix("px")) < 0, "the day's head lies over what is around its first row"
    page.keyboard.press("Enter")
    expect(page.locator("dialog.viewer")).to_be_visible()
    assert walk(page, 10) == []
    assert page.faults == []
