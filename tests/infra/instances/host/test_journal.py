"""The allowance of a stream: what it costs at most, whatever a container says."""

from typing import Any

import pytest

from infra.instances.user_data import HOST

PRICE = 0.50
"""Dollars for a GB that CloudWatch takes in."""


@pytest.fixture
def journal() -> dict[str, Any]:
    """The host's program as it is, not run."""
    text = (HOST / "journal.py").read_text().removesuffix("main(*sys.argv[1:])\n")
    found: dict[str, Any] = {"__name__": "journal"}
    exec(compile(text, "journal.py", "exec"), found)
    return found


def test_a_month_of_chatter_costs_less_than_five_dollars(journal: dict[str, Any]) -> None:
    """A GPU that is awake all month, a container that never stops talking."""
    stream = journal["Stream"]("g", "i", "k", "docker logs easel")
    hours, taken = 24, 0
    for _ in range(hours * 60):
        stream.at -= 60  # a minute goes by
        lines = [(0, "x" * 1500, "") for _ in range(500)]
        taken += sum(len(event["message"].encode()) + 26 for event in stream.allowed(lines))
    # What may go at once comes on top of what may go in time.
    assert taken <= journal["ALLOWANCE"] * (hours + 1) * 1.01
    assert taken / hours * 730 / 1e9 * PRICE < 5


def test_who_speaks_like_anybody_loses_no_line(journal: dict[str, Any]) -> None:
    """Ten lines a second of a busy studio, for a day."""
    stream = journal["Stream"]("g", "i", "k", "r")
    for _ in range(24 * 60):
        stream.at -= 60
        assert len(stream.allowed([(0, "a request of usual length " * 8, "")] * 600)) == 600


def test_what_was_left_out_is_counted_when_it_goes_on(journal: dict[str, Any]) -> None:
    """Two words in all, and each line is either shipped or counted."""
    stream = journal["Stream"]("g", "i", "k", "journalctl")
    stream.left = 3000.0
    first = stream.allowed([(n, "y" * 974, "") for n in range(10)])
    assert [event["timestamp"] for event in first] == [0, 1, 2, 3]
    assert "more than 10 MB an hour" in first[-1]["message"]
    assert first[-1]["message"].endswith("by journalctl")
    assert stream.allowed([(11, "z", "")]) == []
    stream.at -= 3600
    after = stream.allowed([(12, "again", "")])
    assert [event["message"] for event in after] == ["easel: 8 lines were left out", "again"]


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"2026-11-30T11:07:56.123456789Z", True),
        (b"Error", False),
        (b"2026-11-30T11:07:56Z", False),
    ],
)
def test_a_line_of_the_container_has_dockers_stamp(
    journal: dict[str, Any], line: bytes, is_one: bool
) -> None:
    """Anything else is docker itself, which says that there is no container."""
    assert bool(journal["STAMP"].fullmatch(line)) is is_one
