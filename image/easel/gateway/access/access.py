"""What the door and the console decide by, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.access.ended_sessions import EndedSessions
from easel.gateway.access.first_links import FirstLinks
from easel.gateway.access.keyring import Keyring
from easel.gateway.access.rights import Rights
from easel.gateway.access.tokens import Tokens


@dataclass(frozen=True)
class Access:
    """Of one team: what signs, who has tokens, whose sessions are over, and which rights hold."""

    keyring: Keyring
    tokens: Tokens
    links: FirstLinks
    ended: EndedSessions
    rights: Rights
