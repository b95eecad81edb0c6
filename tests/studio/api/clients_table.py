"""docs/reference/clients.md as data."""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path(__file__).parents[3] / "docs" / "reference" / "clients.md"


def rows() -> dict[str, dict[str, str]]:
    """By client: each of its calls, and whether it works, in the table's words."""
    found: dict[str, dict[str, str]] = {}
    client = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("## "):
            client = line[3:]
        elif row := re.match(r"\| `([^`]+)` \| (.+?) \|", line):
            found.setdefault(client, {})[row[1]] = row[2]
    return found
