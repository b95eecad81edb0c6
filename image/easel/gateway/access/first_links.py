"""Each endpoint's first token, kept where only the operator reads it, so that a start can print a link that
works."""

from __future__ import annotations

import json

from easel.gateway.access.tokens import Tokens
from easel.gateway.disk import write_private
from easel.gateway.errors import TokenRefused
from easel.gateway.home import Home

FIRST = "link"


class FirstLinks:
    """`run/links.json`: the plaintext of one token per endpoint."""

    def __init__(self, home: Home, tokens: Tokens) -> None:
        self._path = home.links
        self._tokens = tokens
        try:
            content = json.loads(self._path.read_text())
            self._links = {str(key): str(value) for key, value in content.items()}
        except (FileNotFoundError, ValueError, AttributeError):
            self._links = {}

    def ensure(self, endpoint: str) -> None:
        """Make the first token if none is known and valid. Other tokens, and who uses them, stay as they
        are."""
        if self.token(endpoint) is not None:
            return
        for number in range(1, 1000):
            try:
                name = FIRST if number == 1 else f"{FIRST}-{number}"
                self._links[endpoint] = self._tokens.new(endpoint, name)
            except TokenRefused:
                continue  # the name is taken by a token whose plaintext was lost
            break
        write_private(self._path, json.dumps(self._links, indent=1) + "\n")

    def token(self, endpoint: str) -> str | None:
        """The plaintext, unless it was revoked."""
        plaintext = self._links.get(endpoint)
        if plaintext is None or not self._tokens.is_valid(endpoint, plaintext):
            return None
        return plaintext
