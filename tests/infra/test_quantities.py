"""Durations and sizes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.quantities import duration, seconds, size, size_in_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("2w", 1209600), ("0s", 0)],
)
def test_a_duration_is_numbers_with_units(text: str, expected: int) -> None:
    """A number and a unit, or several of them, largest or smallest first."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "bad",
    ["", "15", 15, "m", "15 m", "-5m", "1.5h", "15M", "1m1m", "١٥m", "15m\n", None, True, [], "9" * 12 + "s"],
)
def test_what_is_no_duration_is_refused_with_an_example(bad: object) -> None:
    """A bare number is refused too: nobody knows whether it is seconds or minutes."""
    with pytest.raises(ValueError, match=r"is not a duration|names a unit twice") as error:
        seconds(bad)
    assert "15m" in str(error.value)


@given(st.integers(0, 10**9))
def test_every_duration_reads_back_as_it_was_written(value: int) -> None:
    """`duration` and `seconds` are each other's inverse."""
    assert seconds(duration(value)) == value


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """No text makes `seconds` fail in another way, and what it reads is never negative."""
    with contextlib.suppress(ValueError):
        assert seconds(text) >= 0


@pytest.mark.parametrize(("text", "expected"), [("100GB", 10**11), ("1GiB", 2**30), ("500MB", 5 * 10**8)])
def test_a_size_is_a_number_with_a_unit(text: str, expected: int) -> None:
    """GB counts thousands, GiB counts 1024s."""
    assert size_in_bytes(text) == expected
    assert size_in_bytes(size(expected)) == expected


@pytest.mark.parametrize("bad", ["", "100", 100, "100gb", "GB", "1.5GB", "100 GB", "100GB\n", None, False])
def test_what_is_no_size_is_refused_with_an_example(bad: object) -> None:
    """Sizes without a unit, or with one that does not exist, are refused."""
    with pytest.raises(ValueError, match="100GB"):
        size_in_bytes(bad)


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    """No text makes `size_in_bytes` fail in another way."""
    with contextlib.suppress(ValueError):
        assert size_in_bytes(text) >= 0
