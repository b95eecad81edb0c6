"""Keyrings whose secrets are kept in memory."""

from __future__ import annotations

from collections.abc import Callable

from easel.gateway.access.keyring import Keyring


class Memory:
    """A store of secrets; what it published is in `keys`."""

    name = "memory"

    def __init__(self, text: str = "", lead: float = 0.0) -> None:
        self.text, self.lead, self.number, self.keys = text, lead, int(bool(text)), ""

    def read(self) -> tuple[bytes, str]:
        return self.text.encode(), str(self.number) if self.number else ""

    def swap(self, text: str, revision: str, *, must: bool = False) -> bool:
        if revision != self.read()[1]:
            return False
        self.text, self.number = text, self.number + 1
        return True

    def publish(self, keys: str) -> None:
        self.keys = keys


def ring(secret: str = "s" * 40, clock: Callable[[], float] | None = None, lead: float = 0.0) -> Keyring:
    """The keyring of one secret."""
    keyring = Keyring(Memory(secret, lead), *([clock] if clock else []))
    keyring.open()
    return keyring
