"""What awake machines cost this month: seconds times price, counted by the gateway and kept where gateways
after it find it: in the team's bucket, in a cluster in a ConfigMap.

It is the fuse of `budget.stop`. AWS's own figures come hours late, and in more detail than a fuse can wait
for. Not counted: disks, transfer, the gateway itself, a cluster's own price, and what began and ended while
no gateway ran.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from easel.gateway.errors import ProviderError
from easel.remark import figure, remark

_HOUR = 3600.0
_ATTEMPTS = 5
_MONTHS = (
    remark("month_january", "January"), remark("month_february", "February"), remark("month_march", "March"),
    remark("month_april", "April"), remark("month_may", "May"), remark("month_june", "June"),
    remark("month_july", "July"), remark("month_august", "August"), remark("month_september", "September"),
    remark("month_october", "October"), remark("month_november", "November"),
    remark("month_december", "December"),
)  # fmt: skip
# A month's sums by endpoint, in a cluster by pool of nodes: awake seconds and dollars.
_Sums = dict[str, tuple[float, float]]


class Kept(Protocol):
    """A text as it was read, and what says which it was."""

    @property
    def content(self) -> bytes:
        """The text."""
        ...

    @property
    def etag(self) -> str:
        """Another for each text that was there."""
        ...


class Ledger(Protocol):
    """Where texts are kept that several gateways write, none over another's. Every verb blocks, and raises
    ProviderError."""

    def get(self, key: str) -> Kept | None:
        """The text, or None if there is none."""
        ...

    def put(self, key: str, content: bytes, etag: str | None) -> str | None:
        """Write over the text of `etag`, or a new one if None; its new etag, or None if it is another by
        now."""
        ...

    def place(self, key: str) -> str:
        """Where a person finds it."""
        ...


class Spending:
    """The sums of each month. `every`: seconds between two writes. `say` hears of a ledger that refuses."""

    def __init__(self, ledger: Ledger, say: Callable[[str], None], *, every: float = 60.0) -> None:
        self._ledger = ledger
        self._say = say
        self._every = every
        self._months: dict[str, _Sums] = {}
        # Up to when each endpoint was counted, in Unix seconds.
        self._until: dict[str, float] = {}
        self._etags: dict[str, str | None] = {}
        self._dirty: set[str] = set()
        self._saved_at = time.monotonic()
        self._told = False
        self._lock = threading.Lock()

    def load(self, now: float) -> None:
        """Read this month and the last. Blocks. Raises ProviderError."""
        for moment in (_start(_start(now) - 1), now):
            self._take(month_of(moment))

    def count(self, endpoint: str, price: float, launched: Iterable[float], now: float) -> None:
        """Add what awake machines cost since the last count, each of them `price` dollars an hour; `launched`
        is when each was started last, in Unix seconds."""
        with self._lock:
            # Not before this month: an endpoint nobody counted before is not charged for last year.
            until = self._until.get(endpoint, _start(now))
            for start in launched:
                self._add(endpoint, price, max(start, until), now)
            self._until[endpoint] = max(now, until)

    def dollars(self, now: float) -> float:
        """What this month cost so far."""
        return sum(dollars for _, dollars in self._months.get(month_of(now), {}).values())

    def over(self, monthly: float, now: float) -> str | None:
        """Why nothing may wake, once the month's dollars are spent; else None."""
        spent = self.dollars(now)
        if spent < monthly:
            return None
        hours = sum(seconds for seconds, _ in self._months.get(month_of(now), {}).values()) / _HOUR
        after = datetime.fromtimestamp(_next(now), UTC)
        return remark(
            "budget_spent",
            "the budget for {month} is spent: ${spent} of ${budget}, {hours} awake hours. Nothing wakes "
            "until {day} {after}, or until somebody raises budget.monthly (or sets budget.stop to false) and "
            "runs `pulumi up`",
            month=_MONTHS[datetime.fromtimestamp(now, UTC).month - 1],
            spent=figure(spent, ",.2f"),
            budget=figure(monthly, ",.0f"),
            hours=figure(hours, ",.1f"),
            day=after.day,
            after=_MONTHS[after.month - 1],
        )

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return bool(self._dirty) and time.monotonic() - self._saved_at >= self._every

    def save(self) -> None:
        """Write what changed. Blocks. What cannot be written is told once, and tried again later."""
        self._saved_at = time.monotonic()
        for month in sorted(self._dirty):
            try:
                self._write(month)
            except ProviderError as error:
                if not self._told and not error.passing:
                    self._told = True
                    words = "what the team spent cannot be kept, and would be forgotten by a restart: {why}"
                    self._say(remark("spending_not_kept", words, why=error))
                return
        self._told = False

    def _write(self, month: str) -> None:
        for _ in range(_ATTEMPTS):
            with self._lock:
                body = json.dumps(self._as_json(month), indent=1).encode() + b"\n"
                self._dirty.discard(month)
            try:
                etag = self._ledger.put(_key(month), body, self._etags.get(month))
            except ProviderError:
                self._dirty.add(month)
                raise
            if etag is not None:
                self._etags[month] = etag
                return
            # Another gateway counted the same instances: the higher sum is the right one.
            self._take(month)
            self._dirty.add(month)

    def _take(self, month: str) -> None:
        stored = self._ledger.get(_key(month))
        self._etags[month] = stored.etag if stored else None
        if stored is None:
            return
        try:
            content = json.loads(stored.content)
            rows: dict[str, Any] = content["endpoints"]
            read = {
                name: (float(row["seconds"]), float(row["dollars"]), float(row["until"]))
                for name, row in rows.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            words = "{place} is damaged ({why}): counting from what is known"
            self._say(remark("spending_damaged", words, place=self._ledger.place(_key(month)), why=error))
            return
        with self._lock:
            sums = self._months.setdefault(month, {})
            for name, (seconds, dollars, until) in read.items():
                known = sums.get(name, (0.0, 0.0))
                sums[name] = (max(seconds, known[0]), max(dollars, known[1]))
                self._until[name] = max(until, self._until.get(name, 0.0))

    def _add(self, endpoint: str, price: float, start: float, end: float) -> None:
        while start < end:
            month, stop = month_of(start), min(end, _next(start))
            seconds, dollars = self._months.setdefault(month, {}).get(endpoint, (0.0, 0.0))
            took = stop - start
            self._months[month][endpoint] = (seconds + took, dollars + took / _HOUR * price)
            self._dirty.add(month)
            start = stop

    def _as_json(self, month: str) -> dict[str, Any]:
        rows = {
            name: {
                "seconds": round(seconds, 3),
                "dollars": round(dollars, 6),
                "until": self._until.get(name, 0.0),
            }
            for name, (seconds, dollars) in sorted(self._months.get(month, {}).items())
        }
        return {
            "month": month,
            "dollars": round(sum(row["dollars"] for row in rows.values()), 6),
            "endpoints": rows,
        }


def _key(month: str) -> str:
    return f"run/spent/{month}.json"


def month_of(moment: float) -> str:
    """The month of a moment in Unix seconds, by UTC: 2026-11."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m")


def _start(moment: float) -> float:
    day = datetime.fromtimestamp(moment, UTC)
    return datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()


def _next(moment: float) -> float:
    day = datetime.fromtimestamp(moment, UTC)
    return datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC).timestamp()
