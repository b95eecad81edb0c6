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

from easel.remark import figure, from_json, remark

Phase = Literal["fetching", "whole", "failed"]
_TURN = remark("models_turn", "waits its turn")
# Letters of why one model did not come.
_LONGEST = 600
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
        self._doing = remark("models_behind", "waits until the models of {other} are there", other=other)

    def began(self) -> None:
        """An attempt begins."""
        self.due, self._tried, self._told, self.refused = None, {}, set(), ""
        self._doing = _looking(len(self.models))

    def heard(self, record: Mapping[str, Any]) -> str | None:
        """Take one record of `easel.models sync --json`; what of it is worth an event, if anything."""
        if isinstance(file := record.get("file"), str):
            self._doing = _progress(file, record)
            if record.get("phase") != "fetching" or file in self._told:
                return None
            self._told.add(file)
            return _begun(file, record.get("total"))
        name, result = (str(record.get(key) or "") for key in ("name", "result"))
        why = from_json(record.get("said")) or str(record.get("why") or "")
        if result:
            self._tried[name] = why if result == "failed" else ""
            self._doing = _looking(len(self.models))
        refused = from_json(record.get("said")) if "refused" in record else None
        self.refused = refused or str(record.get("refused") or self.refused)
        return remark("model_came", "{name} is in the store", name=name) if result == "came" else None

    def ended(self, why: str, now: float) -> str | None:
        """An attempt has ended: `why` is what kept all of it from coming, "" if every model is there. What is
        worth an event, if anything."""
        before, self._why = self._why, why
        self._doing = ""
        first, self.settled = not self.settled, True
        if not why:
            known, self.whole, self._failures = self.whole == self.mark, self.mark, 0
            self.due = None
            return None if known and not before else _there(len(self.models))
        pause = min(LONGEST_PAUSE, PAUSE * 2**self._failures)
        self._failures += 1
        self.due = now + pause
        if before == why:
            return None  # the same reason every hour is no news
        if first:
            words = "{why}; the endpoint wakes without; tried again in {span}"
            return remark("models_wakes_without", words, why=why, span=_span(pause))
        return remark("models_again_in", "{why}; tried again in {span}", why=why, span=_span(pause))

    @property
    def failed(self) -> list[str]:
        """Why each that did not come did not, in the last attempt."""
        return [why for why in self._tried.values() if why]

    def status(self, now: float) -> ModelStatus | None:
        """How it is to everybody else; None without models."""
        if not self.models:
            return None
        if self._doing.startswith("fetching ") or (not self._why and self.whole != self.mark):
            return ModelStatus("fetching", self._doing or _TURN, first=not self.settled)
        if self._why:
            return ModelStatus("failed", self._again(now))
        return ModelStatus("whole", _there(len(self.models)))

    def _again(self, now: float) -> str:
        if self.due is None:
            return remark("models_again_now", "{why}; tried again now", why=self._why)
        span = _span(max(0.0, self.due - now))
        return remark("models_again_in", "{why}; tried again in {span}", why=self._why, span=span)


def reason(failed: Iterable[str], of: int) -> str:
    """What kept an attempt from being whole, in one sentence, from what was said of each model."""
    said = list(failed)
    if not said:
        return ""
    first = said[0] if len(said[0]) <= _LONGEST else said[0][:_LONGEST]
    if of == 1:
        return remark("model_missing", "its model did not come: {why}", why=first)
    if len(said) == 1:
        words = "{n} of {of} models did not come: {why}"
        return remark("models_one_missing", words, n=1, of=of, why=first)
    words = "{n} of {of} models did not come: {why} (and {more} more)"
    return remark("models_some_missing", words, n=len(said), of=of, why=first, more=len(said) - 1)


def _progress(file: str, record: Mapping[str, Any]) -> str:
    phase, done, total, left = (record.get(key) for key in ("phase", "done", "total", "left"))
    if phase not in ("fetching", "waiting"):
        if phase == "asking":
            return remark("fetch_asks", "asking for the next model")
        there = remark("fetch_there", "{file} is there", file=file)
        return there if phase == "done" else remark("fetch_checks", "checking {file}", file=file)
    said = remark("fetching", "fetching {file}", file=file)
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        said = remark("fetch_part", "{fetching}, {percent} %", fetching=said, percent=100 * done // total)
    if isinstance(left, int | float):
        said = remark("fetch_left", "{fetching}, {span} left", fetching=said, span=_span(left))
    return said


def _begun(file: str, total: object) -> str:
    if not isinstance(total, int) or total <= 0:
        return remark("fetching", "fetching {file}", file=file)
    if total >= 1e8:
        words = "fetching {file} ({n} GB)"
        return remark("fetching_gigabytes", words, file=file, n=figure(total / 1e9, ".1f"))
    words = "fetching {file} ({n} MB)"
    return remark("fetching_megabytes", words, file=file, n=figure(max(0.1, total / 1e6), ".1f"))


def _span(seconds: float) -> str:
    """Rounded as people say it: "40 seconds", "2 minutes", "3 hours"."""
    if seconds >= 3600:
        hours = round(seconds / 3600)
        one = remark("span_hour", "1 hour")
        return one if hours == 1 else remark("span_hours", "{n} hours", n=hours)
    if seconds >= 60:
        minutes = round(seconds / 60)
        one = remark("span_minute", "1 minute")
        return one if minutes == 1 else remark("span_minutes", "{n} minutes", n=minutes)
    rest = max(1, round(seconds))
    return remark("span_second", "1 second") if rest == 1 else remark("span_seconds", "{n} seconds", n=rest)


def _looking(count: int) -> str:
    if count == 1:
        return remark("looking_at_model", "looking at its model")
    return remark("looking_at_models", "looking at {n} models", n=count)


def _there(count: int) -> str:
    if count == 1:
        return remark("model_there_whole", "its model is there")
    return remark("models_there_whole", "its {n} models are there", n=count)
