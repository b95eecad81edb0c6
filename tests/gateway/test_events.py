"""What happened to whom: as much of it as is kept."""

from __future__ import annotations

from easel.gateway.events import Events


def test_the_last_are_kept_of_all_and_of_each() -> None:
    """However many endpoints there are: what leaves the list leaves its endpoint's too."""
    events = Events(keep=3)
    for number, endpoint in enumerate(["quiet", "busy", "busy", "other", "busy"]):
        events.add(endpoint, None, "said", str(number))
    assert [event.text for event in events.of()] == ["2", "3", "4"]
    assert [event.text for event in events.of("busy")] == ["2", "4"]
    assert events.of("quiet") == []
