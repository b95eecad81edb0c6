"""What one gateway signs, another whose clock is behind reads."""

from __future__ import annotations

import time

import pytest
from itsdangerous import SignatureExpired

from easel.gateway.access import SkewedSerializer


@pytest.mark.parametrize(
    ("ahead", "read"), [(0, True), (5, True), (59, True), (90, False), (-9, True), (-30, False)]
)
def test_clocks_may_differ_by_a_minute(monkeypatch: pytest.MonkeyPatch, ahead: float, read: bool) -> None:
    """Signed by a clock that is so many seconds ahead of ours, and good for twenty."""
    signer, now = SkewedSerializer("a secret", salt="a salt"), time.time()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now + ahead)
        signed = signer.dumps({"who": "ann"})
    monkeypatch.setattr(time, "time", lambda: now)
    if read:
        found, at = signer.loads(signed, max_age=20, return_timestamp=True)
        assert found == {"who": "ann"}
        assert abs(at.timestamp() - (now + ahead)) <= 1
    else:
        with pytest.raises(SignatureExpired):
            signer.loads(signed, max_age=20)
