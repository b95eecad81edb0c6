"""What a deployment tells its team of what it stands on: configuration, tokens, money."""

from __future__ import annotations

import asyncio
import time

from easel.gateway.errors import ProviderError
from easel.gateway.events import Events
from easel.gateway.replicas import Ledger, Spending
from easel.remark import remark

TEAM = "team"


class Telling:
    """Events of the team, of one `kind` (`aws`, `kubernetes`)."""

    def __init__(self, events: Events, kind: str) -> None:
        self._events = events
        self._kind = kind
        self._told: dict[str, str] = {}
        self.last = ""
        """What was said last."""

    def say(self, text: str) -> None:
        """Say it."""
        self.last = text
        self._events.add(TEAM, None, self._kind, text)

    def once(self, about: str, text: str) -> None:
        """Say what is wrong about something, unless the same was said of it last; "" where all is well."""
        if text and text != self._told.get(about):
            self.say(text)
        self._told[about] = text


async def spending_from(ledger: Ledger, telling: Telling) -> Spending:
    """What was spent, as the ledger has it. What cannot be read is said, and counted from now on."""
    spending = Spending(ledger, telling.say)
    try:
        await asyncio.to_thread(spending.load, time.time())
    except ProviderError as error:
        words = "what was spent this month is not known, and is counted from now on: {why}"
        telling.say(remark("spending_unknown", words, why=error))
    return spending
