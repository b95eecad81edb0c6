"""What a caller may do with files, by the name that the gateway vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from easel.studio.owner import HEADER, is_anonymous, owner_of

# The gateway says it of who holds the console's token or is on its machine. No token can be called so.
OPERATOR = "@operator"


@dataclass(frozen=True, slots=True)
class FileAccess:
    """Who asks. An `operator` sees everybody's pictures, a `member` may touch the team's models."""

    owner: str
    operator: bool
    member: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> FileAccess:
        """By a request's headers. Without the gateway's, the studio belongs to whoever started it."""
        said = headers.get(HEADER, "").strip()
        operator = not said or said == OPERATOR
        return cls(owner_of(headers), operator, operator or not is_anonymous(said))
