"""Where styles lie: A1111's `styles.csv`, one of the team and one of each person.

The endpoint's is `outputs/<endpoint>/styles.csv`, a person's beside their pictures. A person's own comes
before the team's of the same name. A file of A1111's can be copied there as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import structlog

from easel.studio.engine import InvalidRequest, Style, merge_styles, read_styles
from easel.studio.outputs import Outputs

log = structlog.get_logger(__name__)

FILE = "styles.csv"
# A1111's longest collections have some two thousand.
MAX_BYTES = 4_000_000


class Styles:
    """What one person may use: for one request, as the files are when it first asks."""

    def __init__(self, outputs: Outputs, owner: str) -> None:
        self._own = outputs.owned(owner) / FILE
        self._team = outputs.folder / FILE

    @cached_property
    def known(self) -> dict[str, Style]:
        """All of them by name."""
        return merge_styles(_read(self._own), _read(self._team))

    def find(self, names: Sequence[str]) -> tuple[list[Style], list[str]]:
        """The styles of these names in order, and the names that there is no style of."""
        known = self.known if names else {}
        return [known[name] for name in names if name in known], [name for name in names if name not in known]


def _read(path: Path) -> dict[str, Style]:
    try:
        with path.open("rb") as file:
            return read_styles(file.read(MAX_BYTES).decode("utf-8", "replace"))
    except FileNotFoundError:
        return {}
    except (OSError, InvalidRequest) as e:
        log.warning("styles unreadable", path=str(path), reason=str(e))
        return {}
