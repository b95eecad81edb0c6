"""Passes: the operator's way through the door of an endpoint, for an hour.

Who holds the console's token asks the console for one and then speaks to the endpoint itself, so that
gigabytes go by Caddy and not through this process. Nothing is stored: a pass is signed and says when it was.
"""

from __future__ import annotations

from itsdangerous import BadData, URLSafeTimedSerializer

from easel.gateway.keyring import Keyring

# What `X-Easel-User` says then. No token can be called so: their names begin with a letter or a digit.
OPERATOR = "@operator"
LASTS = 3600
"""Seconds."""
_PREFIX = "easel_pass."


class Passes:
    """Issues passes and tells real ones."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def issue(self, endpoint: str) -> str:
        """A pass for one endpoint."""
        return _PREFIX + self._signer(endpoint).dumps("")

    def opens(self, endpoint: str, shown: str) -> bool:
        """Whether this is a pass for the endpoint, and not too old."""
        if not shown.startswith(_PREFIX):
            return False
        try:
            self._signer(endpoint).loads(shown.removeprefix(_PREFIX), max_age=LASTS)
        except BadData:
            return False
        return True

    def _signer(self, endpoint: str) -> URLSafeTimedSerializer:
        # The endpoint is part of the key: a pass is nothing elsewhere, and no cookie is a pass.
        return URLSafeTimedSerializer(self._keyring.counting, salt=f"easel operator's pass for {endpoint}")
