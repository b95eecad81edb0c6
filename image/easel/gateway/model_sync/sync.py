"""Brings the endpoints' `models:` into the store before anything that is paid for starts.

By `easel.models sync` in a process of its own, one at a time for the whole team: a download of gigabytes must
not fill the memory of a small machine, nor make the door slow, and what is wrong with one ends no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from easel.gateway.config import Endpoint
from easel.gateway.disk import write_private
from easel.gateway.errors import GATEWAY_MISTAKE, SyncRefused
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.model_sync.status import ModelList, ModelStatus, reason
from easel.gateway.process import Process, exit_words, inherited, last_lines
from easel.remark import figure, remark, said_by

_log = structlog.get_logger("easel.supply")
_KIND = "models"
SOURCE_TOKENS = ("HF_TOKEN", "CIVITAI_TOKEN")
"""Of an endpoint's `secrets`, those that `easel.models.sources` knows. The gateway may read no other."""
# What of an endpoint's `env` a source reads. The rest is for its replicas: here it could steer a process that
# has the gateway's own rights.
SOURCES = (*SOURCE_TOKENS, "HF_ENDPOINT", "CIVITAI_ENDPOINT")
# Between SIGTERM and SIGKILL: a journal is written through within a tenth of a second, and only a server that
# never answers keeps the process longer.
_GRACE = 4.0
# A process that works says so every second, but for a file that it reads from end to end. One that says
# nothing hangs on a file system that does not answer, and must not hold an endpoint for ever.
_SILENCE = 1800.0
_NOBODY_SAYS = remark("models_unknown", "no gateway says yet how they are")
Given = Callable[[Endpoint], Awaitable[Mapping[str, str]]]


class ModelSync:
    """Every endpoint's models.

    `given` are variables for the sources, such as tokens, and may raise SyncRefused; `changed` hears whose
    models may let it wake now. With `elsewhere` there are other gateways: nothing is fetched before
    `lead`, and until then it tells what is known there.
    """

    def __init__(
        self, home: Home, events: Events, given: Given, changed: Callable[[str], None],
        command: Callable[[str], Sequence[str]] | None = None, *, silence: float = _SILENCE,
        elsewhere: Callable[[str], ModelStatus | None] | None = None,
    ) -> None:  # fmt: skip
        self._home = home
        self._events = events
        self._given = given
        self._changed = changed
        self._command = command or self._sync
        self._silence = silence
        self._elsewhere = elsewhere
        self._leads = elsewhere is None
        self._memory = home.run / "models.json"
        self._lists: dict[str, ModelList] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._known = self._remembered()
        self._news = asyncio.Event()
        self._working: ModelList | None = None
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[int]] = set()

    def of(self, endpoint: str) -> ModelStatus | None:
        """How an endpoint's models are; None if it lists none."""
        if self._leads or self._elsewhere is None:
            return self.own(endpoint)
        entry = self._lists.get(endpoint)
        if entry is None or not entry.models:
            return None
        return self._elsewhere(endpoint) or ModelStatus("fetching", _NOBODY_SAYS, first=True)

    def own(self, endpoint: str) -> ModelStatus | None:
        """How they are by what was seen here; None where another gateway fetches them."""
        entry = self._lists.get(endpoint)
        return entry.status(time.monotonic()) if entry and self._leads else None

    def lead(self, leads: bool) -> None:
        """Whether this is the gateway that fetches, of several with one store."""
        self._leads = leads
        if leads:
            self._news.set()
        elif self._working is not None:
            self._end_work_on(self._working.endpoint)

    def hurry(self, endpoint: str) -> None:
        """Try again now what could not be had."""
        entry = self._lists.get(endpoint)
        if entry is not None and entry.hurry(time.monotonic()):
            self._news.set()

    def follow(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Take the lists as they are now. What is fetched for a list that is no more ends, and is kept."""
        now, before = time.monotonic(), self._endpoints
        self._endpoints = dict(endpoints)
        for name, endpoint in endpoints.items():
            if name in self._lists:
                changed = self._lists[name].follow(endpoint.models, now)
                if name in before and _given(before[name]) != _given(endpoint):
                    self.hurry(name)  # the token that was missing, perhaps
            else:
                settled, whole = self._known.get(name, (False, ""))
                self._lists[name] = ModelList(name, endpoint.models, settled=settled, whole=whole, now=now)
                changed = bool(endpoint.models)
            if changed:
                self._news.set()
                self._end_work_on(name)
        for name in set(self._lists) - set(endpoints):
            self._end_work_on(name)
            del self._lists[name]
            if self._known.pop(name, None):
                self._remember()

    def start(self) -> None:
        """Look after the store from now on."""
        self._task = asyncio.create_task(self._run(), name="supply")

    async def close(self) -> None:
        """End what is being fetched. It goes on at the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            entry, now = self._next(), time.monotonic()
            if entry is not None and (entry.due or 0.0) <= now:
                try:
                    await self._fetch(entry)
                # One list that cannot be looked at must not keep the others back, nor itself.
                except Exception:
                    _log.exception("cannot look after the models", endpoint=entry.endpoint)
                    entry.ended(GATEWAY_MISTAKE, time.monotonic())
                continue
            self._news.clear()
            pause = None if entry is None or entry.due is None else entry.due - now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)

    def _next(self) -> ModelList | None:
        """Who is due first; before all others those that wait for it to wake."""
        now = time.monotonic()
        due = [entry for entry in self._lists.values() if entry.due is not None and self._leads]
        return min(due, key=lambda one: (max(one.due or 0.0, now), one.settled, one.due), default=None)

    async def _fetch(self, entry: ModelList) -> None:
        """One attempt at one endpoint's list."""
        name, models = entry.endpoint, entry.models
        entry.began()
        for other in self._lists.values():
            if other is not entry and other.due is not None:
                other.behind(name)
        self._working = entry
        try:
            why = await self._attempt(entry, models, self._endpoints[name])
        except SyncRefused as error:
            why = said_by(error)
        except (OSError, ValueError) as error:  # a full disk, or an env no process can have
            why = remark("fetch_no_start", "fetching cannot be started: {why}", why=error)
        finally:
            self._working = self._process = None
        if not self._wants(entry, models):
            return
        news = entry.ended(why, time.monotonic())
        if news:
            self._events.add(name, None, _KIND, news)
        self._known[name] = (entry.settled, entry.whole)
        self._remember()
        self._changed(name)

    async def _attempt(self, entry: ModelList, models: Sequence[str], endpoint: Endpoint) -> str:
        """Run it to its end; what kept it from bringing all of the list, "" if nothing did."""
        given = await self._given(endpoint)
        log = self._home.logs / "models.log"
        process = await Process.start(
            self._command(endpoint.name), log=log, grace=_GRACE, heard=True,
            env={**inherited(), "PYTHONUNBUFFERED": "1", **_own(endpoint), **given},
        )  # fmt: skip
        self._process = process
        try:
            if not self._wants(entry, models):
                return ""  # the list changed while the process was started
            async for line in process.lines(self._silence):
                record = _record(line) if self._wants(entry, models) else None
                if record is not None and (news := entry.heard(record)):
                    self._events.add(endpoint.name, None, _KIND, news)
            code = await process.wait()
        except TimeoutError:
            words = "fetching said nothing for {n} s and was ended: does the store answer?"
            return remark("fetch_silent", words, n=figure(self._silence, ".0f"))
        finally:
            await process.stop()
        if code == 0:
            return ""
        said = reason(entry.failed, len(entry.models)) or entry.refused
        if said:
            return said
        last = last_lines(log, 2) or remark("without_a_word", "without a word")
        return remark("fetch_ended", "fetching {how}: {said}", how=exit_words(code), said=last)

    def _wants(self, entry: ModelList, models: Sequence[str]) -> bool:
        """Whether an attempt is still for the list that the endpoint has."""
        return self._lists.get(entry.endpoint) is entry and entry.models == models

    def _end_work_on(self, endpoint: str) -> None:
        working, process = self._working, self._process
        if working is not None and working.endpoint == endpoint and process is not None:
            task = asyncio.create_task(process.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def _sync(self, endpoint: str) -> Sequence[str]:
        return [
            sys.executable, "-m", "easel.models", "sync", "--json", "--background",
            "--config", str(self._home.config / f"{endpoint}.json"),
            "--store", str(self._home.root / "models"),
        ]  # fmt: skip

    def _remember(self) -> None:
        """Keep what an endpoint waits for once in its life, over restarts of the gateway."""
        known = {name: {"settled": done, "whole": mark} for name, (done, mark) in sorted(self._known.items())}
        try:
            write_private(self._memory, json.dumps(known, indent=1) + "\n")
        except OSError as error:
            _log.warning("cannot note which models are there", reason=str(error))

    def _remembered(self) -> dict[str, tuple[bool, str]]:
        try:
            found = json.loads(self._memory.read_text())
            return {str(name): (bool(one["settled"]), str(one["whole"])) for name, one in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # Then every endpoint waits once more; nothing is lost by it.
            _log.warning("which models are there is not known any more", reason=str(error))
            return {}


def _own(endpoint: Endpoint) -> dict[str, str]:
    """Of an endpoint's `env`, what its sources read."""
    return {name: endpoint.env[name] for name in SOURCES if name in endpoint.env}


def _given(endpoint: Endpoint) -> tuple[object, ...]:
    """What of an endpoint's settings decides whether a source gives its file."""
    return _own(endpoint), endpoint.container.secrets if endpoint.container else None


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
