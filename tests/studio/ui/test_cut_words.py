"""What does not fit is not cut in mid-letter where nobody sees that there is more."""

from __future__ import annotations

from tests.studio.ui.conftest import ask_small

# Of each mode in the switch that has not the room that its word takes: the word.
TOO_NARROW = """
[...document.querySelectorAll(".modes label")]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent.trim())
"""
CUT = "(field) => field.scrollWidth - field.clientWidth"


def test_modes_and_numbers_have_room(visit) -> None:
    """Each mode's word lies within its mark, on a phone too ("Outpaint" lay over its neighbour); beside a
    slider a number of four digits is whole, also one that is refused for it ("9999" was "999")."""
    for width, height in ((1440, 900), (390, 844)):
        page = visit(f"room-{width}", width, height)
        assert page.evaluate(TOO_NARROW) == []
        ask_small(page)
        steps = page.get_by_label("Steps", exact=True)
        steps.fill("9999")
        assert steps.evaluate(CUT) <= 0
        assert page.faults == []
