"""What one request and one person may ask for: the rule alone, over many requests."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine import Job, Limits, QueueFull, TextToImage, TooMuchWork
from easel.studio.engine.queue.job_queue import JobQueue
from easel.studio.engine.requests.limits import pixels, work

# What one person sent, when another's small picture took 36 s instead of 1.2 s.
ATTACK = TextToImage(prompt="x", width=2048, height=2048, batch_size=16, batch_count=100, steps=150)

requests = st.builds(
    TextToImage,
    width=st.integers(64, 2048),
    height=st.integers(64, 2048),
    steps=st.integers(1, 150),
    batch_size=st.integers(1, 16),
    batch_count=st.integers(1, 100),
    sampler=st.sampled_from(["Euler a", "Heun", "DPM++ SDE"]),
)


def test_the_attack_is_refused_with_its_number() -> None:
    """How much was asked, how much may be, what to ask for instead, and who can change it."""
    with pytest.raises(TooMuchWork) as caught:
        Limits().check(ATTACK)
    words = str(caught.value)
    assert "1600 pictures of 2048x2048 at 150 steps" in words
    assert "1,006,633 megapixel-steps" in words
    assert "one request may ask for 10,000. Ask for up to 15 at a time" in words
    assert "EASEL_WORK_PER_REQUEST" in words
    assert caught.value.field == "n_iter"


def test_what_people_ask_for_is_taken() -> None:
    """A hundred pictures of SDXL's size at 40 steps, two hundred of SD 1.5's at 50: an evening's work."""
    for width, steps, size, count in (
        (1024, 40, 1, 100),
        (512, 50, 2, 100),
        (2048, 150, 1, 15),
        (64, 150, 16, 100),
    ):
        Limits().check(
            TextToImage(width=width, height=width, steps=steps, batch_size=size, batch_count=count)
        )


def test_pictures_that_memory_must_hold_are_bounded() -> None:
    """One step each is little work, but 1600 pictures of 12 MB would be answered at once."""
    with pytest.raises(TooMuchWork, match=r"6,711 megapixels, which must be in memory.* Ask for up to 61"):
        Limits().check(replace(ATTACK, steps=1))


@given(requests, st.floats(0.01, 1e6), st.floats(0.01, 1e4))
def test_the_rule(request: TextToImage, most_work: float, most_pixels: float) -> None:
    """Refused exactly where pixels times calls times pictures, or pixels times pictures, are over the limit;
    the number of pictures that the refusal proposes passes."""
    limits = Limits(work_per_request=most_work, pixels_per_request=most_pixels)
    calls = request.steps * (1 if request.sampler == "Euler a" else 2)
    area = request.width * request.height * request.batch_size * request.batch_count / 1e6
    assert pixels(request) == pytest.approx(area)
    assert work(request) == pytest.approx(area * calls)
    try:
        limits.check(request)
    except TooMuchWork as error:
        assert work(request) > most_work or pixels(request) > most_pixels
        if "up to" in str(error):
            count = int(str(error).partition("up to ")[2].split()[0])
            over = work if "megapixel-steps" in str(error) else pixels
            fewer = replace(request, batch_size=1, batch_count=count)
            assert over(fewer) <= (most_work if over is work else most_pixels) * 1.0001
    else:
        assert work(request) <= most_work
        assert pixels(request) <= most_pixels


@pytest.mark.parametrize(
    ("text", "found"),
    [("5", 5), (" 2.5e3 ", 2500), ("", 10_000), ("0", 10_000), ("-1", 10_000), ("nan", 10_000),
     ("inf", 10_000), ("many", 10_000), ("10,000", 10_000)],
)  # fmt: skip
def test_settings(text: str, found: float) -> None:
    """A limit is a number above 0 in the environment; what is none leaves the limit as it is."""
    assert Limits.of({"EASEL_WORK_PER_REQUEST": text, "PATH": "x"}).work_per_request == found


def test_every_limit_has_its_setting() -> None:
    """All four, under the names that the reference gives."""
    said = {
        "EASEL_WORK_PER_REQUEST": "1",
        "EASEL_WORK_PER_PERSON": "2",
        "EASEL_PIXELS_PER_REQUEST": "3",
        "EASEL_STEP_SECONDS": "4",
    }
    assert Limits.of(said) == Limits(1, 2, 3, 4)


def test_roles_have_limits_of_their_own() -> None:
    """By how somebody came in; what is not said is everyone's, and the words name the stack file's field."""
    said = {
        "EASEL_WORK_PER_REQUEST": "5000",
        "EASEL_LIMITS": '{"visitors": {"work_per_request": 10, "requests_waiting": 2}, "members": {}}',
    }
    limits = Limits.of(said)
    for owner in ("ada", "ada/laptop", "ada@example.com", "@operator", "local"):
        mine = limits.of_person(owner)
        assert (mine.work_per_request, mine.requests_waiting) == (5000, 50), owner
    visitor = limits.of_person("anonymous/7")
    assert (visitor.work_per_request, visitor.requests_waiting, visitor.pictures_waiting) == (10, 2, 500)
    with pytest.raises(TooMuchWork, match=r"limits\.visitors\.work_per_request"):
        visitor.check(TextToImage(prompt="x", width=1024, height=1024, steps=20))


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", "7", '{"visitors": 3}', '{"visitors": {"work_per_request": -1}}', '{"nobody": {}}',
     '{"visitors": {"role": 3, "roles": 1}}', '{"visitors": {"work_per_request": "NaN"}}', "[" * 5000],
)  # fmt: skip
def test_roles_that_are_none_change_nothing(text: str) -> None:
    """What cannot be read is passed over, number by number."""
    limits = Limits.of({"EASEL_LIMITS": text})
    assert replace(limits.of_person("anonymous"), role=None, roles={}) == Limits()


def test_who_is_refused_hears_of_the_place_and_of_the_time() -> None:
    """How many pictures of how many people are before a new one, and when the device will have made room."""
    queue = JobQueue(Limits(work_per_person=10))
    small = TextToImage(prompt="x", width=512, height=512, steps=20, sampler="Euler")
    for owner, seconds in (("ada", 8.0), ("bob", 3.0), ("eve", 100.0)):
        job = _job(owner, small)
        job.publish(replace(job.progress(), work_left=seconds))
        queue.put(job)
    # Of eve's picture a twelfth: none.
    with pytest.raises(QueueFull, match="2 pictures of 2 people are before a new one") as caught:
        queue.put(_job("ada", small))
    # Hers takes 8 s; in that time bob's 3 are drawn, and 8 of eve's.
    assert caught.value.retry_after == 19
    with pytest.raises(TooMuchWork, match="more than the 10 that one person may have") as alone:
        queue.put(_job("fay", replace(small, batch_count=2)))
    assert alone.value.field == "n_iter"


@given(st.lists(st.tuples(st.sampled_from("ab"), requests), max_size=30))
def test_nobody_has_more_waiting_than_a_person_may(rows: list[tuple[str, TextToImage]]) -> None:
    """However it is cut up into requests, what one person has waiting keeps to the limit; what somebody else
    has waiting does not count."""
    limits = Limits(work_per_person=500, pixels_per_request=2)
    queue = JobQueue(limits)
    held = {"a": [0.0, 0.0], "b": [0.0, 0.0]}
    for owner, request in rows:
        more = work(request), pixels(request)
        fits = held[owner][0] + more[0] <= 500 and held[owner][1] + more[1] <= 4
        if not fits:
            never = more[0] > 500 or more[1] > 4
            with pytest.raises(TooMuchWork if never else QueueFull):
                queue.put(_job(owner, request))
        else:
            queue.put(_job(owner, request))
            held[owner] = [held[owner][0] + more[0], held[owner][1] + more[1]]


def _job(owner: str, request: TextToImage) -> Job:
    prompts = SimpleNamespace(notes=())
    return Job(owner=owner, request=request, checkpoint=None, prompts=(prompts,))  # type: ignore[arg-type]
