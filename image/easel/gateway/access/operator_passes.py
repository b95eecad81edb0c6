"""Passes: the operator's way through the door of an endpoint, for an hour.

Who holds the console's token asks the console for one and then speaks to the endpoint itself. Nothing is
stored: a pass is signed, and says when it was made and by what right, which it does not outlive.
"""

from __future__ import annotations

from dataclasses import asdict

from itsdangerous import BadData

from easel.gateway.access.keyring import Keyring
from easel.gateway.access.operator import OPERATOR
from easel.gateway.access.right import Right
from easel.gateway.access.serializer import SkewedSerializer

LASTS = 3600
"""Seconds."""
_PREFIX = "easel_pass."


class OperatorPasses:
    """Issues passes and tells real ones."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def issue(self, endpoint: str, by: Right) -> str:
        """A pass for one endpoint, made by who has the right `by`."""
        fields = {key: value for key, value in asdict(by).items() if value is not None}
        return _PREFIX + self._signer(endpoint).dumps(fields)

    def right(self, endpoint: str, shown: str) -> Right | None:
        """The right that a pass gives, if it is one for the endpoint and not too old; whether that holds is
        for `Rights` to say."""
        if not shown.startswith(_PREFIX):
            return None
        try:
            fields, made = self._signer(endpoint).loads(
                shown.removeprefix(_PREFIX), max_age=LASTS, return_timestamp=True
            )
            by = Right(**fields)
        except (BadData, TypeError):
            return None
        return Right("pass", endpoint, OPERATOR, until=made.timestamp() + LASTS, by=by)

    def _signer(self, endpoint: str) -> SkewedSerializer:
        # The endpoint is part of the key: a pass is nothing elsewhere, and no cookie is a pass.
        return SkewedSerializer(self._keyring.counting, salt=f"easel operator's pass for {endpoint}")
