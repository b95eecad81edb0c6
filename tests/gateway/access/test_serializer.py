"""What one gateway signs, another whose clock is behind reads."""

from __future__ import annotations

import time

import pytest
from itsdangerous import SignatureExpired, TimestampSigner

from easel.gateway.access import SkewedSerializer


def signed(ahead: int) -> str:
    """By a clock that is so many seconds ahead of ours."""

    class AheadSigner(TimestampSigner):
        def get_timestamp(self) -> int:
            return super().get_timestamp() + ahead

    return str(SkewedSerializer("a secret", salt="a salt", signer=AheadSigner).dumps({"who": "ann"}))


@pytest.mark.parametrize("ahead", [0, 5, 55, -9])
def test_clocks_may_differ_by_a_minute(ahead: int) -> None:
    """What is good for twenty seconds is read though it comes from the near future."""
    found, at = SkewedSerializer("a secret", salt="a salt").loads(
        signed(ahead), max_age=20, return_timestamp=True
    )
    assert found == {"who": "ann"}
    assert abs(at.timestamp() - (time.time() + ahead)) <= 2


@pytest.mark.parametrize("ahead", [90, -30])
def test_and_by_no_more(ahead: int) -> None:
    """Neither what is from far ahead, nor what is too old."""
    with pytest.raises(SignatureExpired):
        SkewedSerializer("a secret", salt="a salt").loads(signed(ahead), max_age=20)
