"""Signed texts with a time, as itsdangerous makes them, for gateways whose clocks differ."""

from __future__ import annotations

from datetime import datetime

from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

# Seconds that the clock of who signed may be ahead of ours. itsdangerous bears none: a person who has just
# signed in at one gateway would be nobody at the other.
_AHEAD = 60


class _SkewedSigner(TimestampSigner):
    def unsign(  # type: ignore[override]  # itsdangerous overloads it by literals
        self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: bool = False
    ) -> tuple[bytes, datetime] | bytes:
        """As itsdangerous does, but for what comes from the near future."""
        value, at = super().unsign(signed_value, return_timestamp=True)
        age = self.get_timestamp() - int(at.timestamp())
        if max_age is not None and not -_AHEAD <= age <= max_age:
            raise SignatureExpired(f"signed {age} s ago", payload=value, date_signed=at)
        return (value, at) if return_timestamp else value


class SkewedSerializer(URLSafeTimedSerializer):
    """JSON that is signed, with the time of signing, to be read by any gateway of the team."""

    default_signer = _SkewedSigner
