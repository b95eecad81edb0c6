"""Where styles lie: A1111's `styles.csv`, one of the team and one of each person.

The endpoint's is `outputs/<endpoint>/styles.csv`, a person's beside their pictures. A person's own comes
before the team's of the same name. A file of A1111's can be copied there as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from easel.studio.engine import InvalidRequest, Style, merge_styles, read_styles
from easel.studio.outputs import Outputs

log = structlog.get_logger(__name__)

FILE = "styles.csv"
# A1111's longest collections have some two thousand.
MAX_BYTES = 4_000_000


class Styles:
    """The styles of a team and of its people, read when they are asked for: files may change at any time."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def known(self, owner: str) -> dict[str, Style]:
        """What `owner` may use, by name."""
        return merge_styles(_read(self._outputs.owned(owner) / FILE), _read(self._outputs.folder / FILE))

    def find(self, owner: str, names: Sequence[str]) -> tuple[list[Style], list[str]]:
        """The styles of these names in order, and the names that there is no style of."""
        known = self.known(owner) if names else {}
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
