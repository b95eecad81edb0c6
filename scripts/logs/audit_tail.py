"""The audit log as `easel logs --audit` reads it: from its files here, or from a console."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from infra.quantities import seconds
from scripts.logs.remote_tail import added
from scripts.remote.operator_api import OperatorClient

_ASKED = 10_000
"""Lines that are asked for at once; more than this between two looks are lost to `--follow`."""


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A moment in Unix seconds: `2h` is two hours ago, else a date of ISO 8601, in UTC unless it says."""
    if value is None:
        return None
    try:
        return time.time() - seconds(value)
    except ValueError:
        pass  # perhaps a date
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is neither a span (90m, 2h, 7d) nor a date (2027-01-31)"
        ) from None


class AuditTail:
    """Lines of the audit log, and then what is added.

    Without a `gateway` the files below `home` are read: they are there also when nothing runs.
    """

    def __init__(
        self, gateway: OperatorClient | None, home: Path, endpoint: str | None, since: float
    ) -> None:
        self._gateway = gateway
        self._folder = home / "logs"
        self._endpoint = endpoint
        self._since = since
        self._seen: list[str] = []

    def lines(self, count: int) -> list[str]:
        """New lines, `count` at most."""
        found = self._gateway.audit(self._endpoint, self._since, _ASKED) if self._gateway else self._here()
        new = added(self._seen, found)
        self._seen = found
        return list(new[max(0, len(new) - count) :])

    def _here(self) -> list[str]:
        found: list[str] = []
        for path in (*sorted(self._folder.glob("audit-*.jsonl")), self._folder / "audit.jsonl"):
            if path.is_file():
                found += path.read_text(errors="replace").splitlines()
        return [line for line in found if self._wanted(line)]

    def _wanted(self, line: str) -> bool:
        try:
            record = json.loads(line)
            at = datetime.fromisoformat(record["at"]).timestamp()
        except (ValueError, KeyError, TypeError):
            return False
        return at >= self._since and self._endpoint in (None, record.get("endpoint"))
