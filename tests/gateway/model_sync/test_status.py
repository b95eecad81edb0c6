"""What an endpoint's models hold back, what is said of them, and when they are tried again: pure rules."""

from __future__ import annotations

from typing import Any

import pytest

from easel.gateway.model_sync.status import LONGEST_PAUSE, PAUSE, ModelList, ModelStatus, reason
from easel.gateway.replicas.autoscaler import allowed

LIST = ["hf://org/repo/xl.safetensors", "https://example.com/ink.safetensors"]
FETCHING = {"file": "xl.safetensors", "phase": "fetching", "done": 43, "total": 100, "left": 118}


def entry(models: list[str] = LIST, **known: Any) -> ModelList:
    settings: dict[str, Any] = {"settled": False, "whole": "", "now": 0.0} | known
    return ModelList("studio", models, **settings)


def status(one: ModelList, now: float = 0.0) -> ModelStatus:
    found = one.status(now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("count", "alive", "held", "then"),
    [
        (0, 0, True, 0),
        (1, 0, True, 0),
        (3, 1, True, 1),
        (1, 3, True, 1),
        (1, 0, False, 1),
        (3, 1, False, 3),
        (0, 2, False, 0),
    ],
)
def test_models_keep_new_replicas_back_and_stop_none(count: int, alive: int, held: bool, then: int) -> None:
    """Held: never more than there are, never fewer than are wanted."""
    assert allowed(count, alive, held=held) == then


def test_an_endpoint_without_models_waits_for_none() -> None:
    """It has no status at all, and is never due."""
    one = entry([])
    assert one.status(0.0) is None
    assert one.due is None


def test_the_first_fetch_holds_until_it_has_ended() -> None:
    """From the moment the list is known, through every record, to the end of the attempt."""
    one = entry()
    assert status(one).holds
    one.began()
    assert status(one).holds
    one.heard(FETCHING)
    assert status(one).holds
    one.heard({"result": "came", "name": "xl.safetensors"})
    assert status(one).holds, "the second is not there yet"
    assert one.ended("", 10.0) == "its 2 models are there"
    assert (status(one).phase, status(one).holds, one.due) == ("whole", False, None)


def test_what_cannot_be_had_holds_nothing_back() -> None:
    """Neither after the first failure nor while it is tried again."""
    one = entry()
    one.began()
    said = one.ended("example.com: there is no such file (404)", 0.0)
    assert said
    assert "wakes without" in said
    assert (status(one).phase, status(one).holds) == ("failed", False)
    one.began()
    one.heard(FETCHING)
    assert (status(one).phase, status(one).holds) == ("fetching", False)


def test_a_changed_list_of_an_endpoint_that_drew_before_holds_nothing() -> None:
    """It goes on with the models that it has; the new one is fetched at once."""
    one = entry()
    one.began()
    one.ended("", 0.0)
    assert not one.follow(list(LIST), 5.0)
    assert one.due is None
    assert one.follow([*LIST, "s3://b/new.safetensors"], 5.0)
    assert (status(one).phase, status(one).holds) == ("fetching", False)
    assert one.due == 5.0


def test_a_restart_looks_again_and_forgets_nothing() -> None:
    """What was whole is shown as whole while it is looked at; what had been tried once holds no more."""
    before = entry()
    before.began()
    before.ended("", 0.0)
    again = entry(settled=before.settled, whole=before.whole)
    assert again.due == 0.0
    again.began()
    assert (status(again).phase, status(again).holds) == ("whole", False)
    assert again.ended("", 1.0) is None, "that all is as it was is no news"
    other = entry(["s3://b/other.safetensors"], settled=True, whole=before.whole)
    assert (status(other).phase, status(other).holds) == ("fetching", False)


def test_the_order_of_a_list_does_not_matter() -> None:
    """The same models in another order, or one twice, are the same models."""
    assert entry().mark == entry(LIST[::-1]).mark == entry([*LIST, LIST[0]]).mark
    assert entry().mark != entry(LIST[:1]).mark


def test_pauses_grow_to_an_hour_and_a_success_ends_them() -> None:
    """A source that is down is not asked every minute for a week."""
    one = entry()
    pauses = []
    for _ in range(9):
        one.began()
        one.ended("down", 100.0)
        assert one.due is not None
        pauses.append(one.due - 100.0)
    assert pauses[:4] == [PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    one.began()
    one.ended("", 100.0)
    one.began()
    one.ended("down", 100.0)
    assert one.due == 100.0 + PAUSE


def test_the_same_failure_is_told_once() -> None:
    """An event each hour about the same missing file would bury the rest."""
    one = entry()
    told = []
    for why in ("404", "404", "403", ""):
        one.began()
        told.append(one.ended(why, 0.0) is not None)
    assert told == [True, False, True, True]


def test_by_hand_a_pause_ends() -> None:
    """`easel wake` tries again what failed; where nothing waits it changes nothing."""
    one = entry()
    assert not one.hurry(0.0)
    one.began()
    assert not one.hurry(0.0), "it is at it already"
    one.ended("404", 0.0)
    assert one.hurry(1.0)
    assert one.due == 1.0


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (FETCHING, "fetching xl.safetensors, 43 %, 2 minutes left"),
        (FETCHING | {"left": None}, "fetching xl.safetensors, 43 %"),
        (FETCHING | {"total": None, "left": None}, "fetching xl.safetensors"),
        (FETCHING | {"total": 0, "left": 0.2}, "fetching xl.safetensors, 1 second left"),
        (FETCHING | {"phase": "waiting", "left": 7200}, "fetching xl.safetensors, 43 %, 2 hours left"),
        (FETCHING | {"phase": "checking"}, "checking xl.safetensors"),
        (FETCHING | {"phase": "asking"}, "asking for the next model"),
        (FETCHING | {"phase": ["odd"]}, "checking xl.safetensors"),
        (FETCHING | {"done": "much", "total": [], "left": {}}, "fetching xl.safetensors"),
    ],
)
def test_progress_is_one_line(record: dict[str, Any], said: str) -> None:
    """What people see on the waking page; nonsense in a field is left out."""
    one = entry()
    one.began()
    one.heard(record)
    assert status(one).detail == said


def test_events_are_told_once_a_model() -> None:
    """Progress is no event; that a model begins and that it came are."""
    one = entry()
    one.began()
    told = [one.heard(FETCHING | {"done": done, "total": 6_938_040_682}) for done in (0, 10, 20)]
    assert told == ["fetching xl.safetensors (6.9 GB)", None, None]
    assert one.heard({"result": "came", "name": "xl.safetensors"}) == "xl.safetensors is in the store"
    assert one.heard({"result": "there", "name": "ink.safetensors"}) is None
    assert (
        one.heard({"result": "failed", "name": "example.com/x", "why": "example.com/x: gone (404)"}) is None
    )
    assert one.failed == ["example.com/x: gone (404)"]
    assert one.heard({"something": "else"}) is None


@pytest.mark.parametrize(
    ("failed", "of", "said"),
    [
        ([], 3, ""),
        (["a: gone"], 1, "its model did not come: a: gone"),
        (["a: gone", "b: refused"], 3, "2 of 3 models did not come: a: gone (and 1 more)"),
    ],
)
def test_why_it_is_not_whole(failed: list[str], of: int, said: str) -> None:
    """How many, and the first reason."""
    assert reason(failed, of) == said


def test_who_waits_for_another_is_told_for_whom() -> None:
    """One at a time for the whole team; whoever is whole waits for nobody."""
    one = entry()
    one.behind("portraits")
    assert status(one).detail == "waits until the models of portraits are there"
    whole = entry(settled=True, whole=one.mark)
    whole.behind("portraits")
    assert status(whole).phase == "whole"
