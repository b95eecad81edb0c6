"""First tokens whose hashes the configuration gives: their plaintext is an output of the stack."""

from __future__ import annotations

import asyncio

from easel.gateway.access import Access
from easel.gateway.config import CONSOLE, Config
from easel.gateway.errors import GatewayError
from easel.gateway.events import Events
from easel.remark import remark


async def take_links(config: Config, access: Access, events: Events) -> str:
    """Take those that are new; why one could not be taken, "" if all are."""
    links = {CONSOLE: config.team.console.link, **{n: e.link for n, e in config.endpoints.items()}}
    given = {name: link.hash for name, link in links.items() if link is not None}
    try:
        for name in await asyncio.to_thread(access.tokens.adopt, given):
            events.add(name, None, "token", remark("first_token", "the first token was taken from the stack"))
    except GatewayError as error:
        words = "a first link does not open its endpoint yet: {why}"
        return remark("first_link_closed", words, why=error)
    return ""
