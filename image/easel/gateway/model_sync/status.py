"""How an endpoint's `models:` are: on their way, whole, or not to be had. No process and no disk here.

entry = Shelf("studio", ["hf://org/repo/xl.safetensors"], settled=False, whole="", now=0.0)
entry.status(0.0).holds        # True: nothing wakes before the first attempt has ended
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["fetching", "whole", "failed"]
# Seconds after a failure; doubled with each, up to the second.
PAUSE, LONGEST_PAUSE = 60.0, 3600.0


@dataclass(frozen=True)
class ModelStatus:
    """An endpoint's models as they are now. `first`: no attempt at them has ended yet, however."""

    phase: Phase
    detail: str
    first: bool = False

    @property
    def holds(self) -> bool:
        """Whether the endpoint waits for them before anything is started for it.

        Once only: who changes the list of an endpoint that draws goes on drawing, and what cannot be had
        keeps nobody from the models that are there.
        """
        return self.first and self.phase == "fetching"

    def as_json(self) -> dict[str, str]:
        """As the operator API tells it."""
        return {"phase": self.phase, "detail": self.detail}


class ModelList:
    """One endpoint's list and what became of it. Times are seconds on the monotonic clock.

    `settled`: an attempt at its models ended before, in an earlier life of the gateway perhaps; `whole` is
    the mark of the list that was there as a whole last.
    """

    def __init__(
        self, endpoint: str, models: Iterable[str], *, settled: bool, whole: str, now: float
    ) -> None:
        self.endpoint = endpoint
        self.settled = settled
        self.whole = whole
        self.models: tuple[str, ...] = ()
        # When it is to be looked at next; None while there is nothing to do.
        self.due: float | None = None
        self._failures = 0
        self._why = ""
        self._doing = ""
        self._tried: dict[str, str] = {}
        self._told: set[str] = set()
        # Why an attempt was not even begun, in the words of the process.
        self.refused = ""
        self.follow(models, now)

    @property
    def mark(self) -> str:
        """Tells this list from every other. The addresses themselves may hold signatures."""
        return hashlib.sha256(json.dumps(sorted(self.models)).encode()).hexdigest()

    def follow(self, models: Iterable[str], now: float) -> bool:
        """Take the list as it is now; whether it is another one."""
        taken = tuple(dict.fromkeys(models))
        if taken == self.models:
            return False
        self.models = taken
        self._failures, self._why, self._doing, self._tried = 0, "", "", {}
        self.due = now if taken else None
        return True

    def hurry(self, now: float) -> bool:
        """Forget the pause after a failure; whether there was one."""
        paused = self._why != "" and self.due is not None and self.due > now
        if paused:
            self.due = now
        return paused

    def behind(self, other: str) -> None:
        """Another endpoint's models come first."""
        self._doing = f"waits until the models of {other} are there"

    def began(self) -> None:
        """An attempt begins."""
        self.due, self._tried, self._told, self.refused = None, {}, set(), ""
        self._doing = f"looking at {_models(len(self.models))}"

    def heard(self, record: Mapping[str, Any]) -> str | None:
        """Take one record of `easel.models sync --json`; what of it is worth an event, if anything."""
        if isinstance(file := record.get("file"), str):
            self._doing = _progress(file, record)
            if record.get("phase") != "fetching" or file in self._told:
                return None
            self._told.add(file)
            return f"fetching {file}{_size(record.get('total'))}"
        name, result, why = (str(record.get(key) or "") for key in ("name", "result", "why"))
        if result:
            self._tried[name] = why if result == "failed" else ""
            self._doing = f"looking at {_models(len(self.models))}"
        self.refused = str(record.get("refused") or self.refused)
        return f"{name} is in the store" if result == "came" else None

    def ended(self, why: str, now: float) -> str | None:
        """An attempt has ended: `why` is what kept all of it from coming, "" if every model is there. What is
        worth an event, if anything."""
        before, self._why = self._why, why
        self._doing = ""
        first, self.settled = not self.settled, True
        if not why:
            known, self.whole, self._failures = self.whole == self.mark, self.mark, 0
            self.due = None
            return None if known and not before else f"{_are(len(self.models))} there"
        pause = min(LONGEST_PAUSE, PAUSE * 2**self._failures)
        self._failures += 1
        self.due = now + pause
        wakes = "; the endpoint wakes without" if first else ""
        # The same reason every hour is no news.
        return None if before == why else f"{why}{wakes}; tried again in {_span(pause)}"

    @property
    def failed(self) -> list[str]:
        """Why each that did not come did not, in the last attempt."""
        return [why for why in self._tried.values() if why]

    def status(self, now: float) -> ModelStatus | None:
        """How it is to everybody else; None without models."""
        if not self.models:
            return None
        if self._doing.startswith("fetching ") or (not self._why and self.whole != self.mark):
            return ModelStatus("fetching", self._doing or "waits its turn", first=not self.settled)
        if self._why:
            again = "now" if self.due is None else f"in {_span(max(0.0, self.due - now))}"
            return ModelStatus("failed", f"{self._why}; tried again {again}")
        return ModelStatus("whole", f"{_are(len(self.models))} there")


def reason(failed: Iterable[str], of: int) -> str:
    """What kept an attempt from being whole, in one sentence, from what was said of each model."""
    said = list(failed)
    if not said:
        return ""
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    which = "its model" if of == 1 else f"{len(said)} of {of} models"
    return f"{which} did not come: {said[0][:600]}{more}"


def _progress(file: str, record: Mapping[str, Any]) -> str:
    phase, done, total, left = (record.get(key) for key in ("phase", "done", "total", "left"))
    if phase not in ("fetching", "waiting"):
        return {"asking": "asking for the next model", "done": f"{file} is there"}.get(
            str(phase), f"checking {file}"
        )
    parts = [f"fetching {file}"]
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        parts.append(f"{100 * done // total} %")
    if isinstance(left, int | float):
        parts.append(f"{_span(left)} left")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    """Rounded as people say it: "40 seconds", "2 minutes", "3 hours"."""
    for size, name in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {name}{'s' * (count != 1)}"
    return f"{max(1, round(seconds))} second{'s' * (round(seconds) > 1)}"


def _size(total: object) -> str:
    if not isinstance(total, int) or total <= 0:
        return ""
    return f" ({total / 1e9:.1f} GB)" if total >= 1e8 else f" ({max(0.1, total / 1e6):.1f} MB)"


def _models(count: int) -> str:
    return "its model" if count == 1 else f"{count} models"


def _are(count: int) -> str:
    return "its model is" if count == 1 else f"its {count} models are"
