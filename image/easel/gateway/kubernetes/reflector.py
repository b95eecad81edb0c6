"""One kind of object as the API server has it now: listed once, then watched (client-go's name for it).

A watch that ends is begun again where it stopped; one whose past the server has forgotten (410 Gone) begins
with a new list. What cannot be read leaves what was known, with `trouble` in words.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.errors import KubernetesError
from easel.remark import said_by

_log = structlog.get_logger("easel.kubernetes")
# Seconds that a watch lasts: as many again at random, so that not all begin anew at once.
_LASTS = 300
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
# Objects that one answer of a list has.
_PAGE = "500"
# Seconds of trouble before anybody is told: API servers are replaced, and are back in a moment.
_BEAR = 10.0
Changed = Callable[[Object | None, Object | None], None]


class Reflector:
    """Follows the objects at `path`.

    `selected` narrows them (`labelSelector`, `fieldSelector`); with `single` they are one object of that
    name, which a Role may name. `changed` hears of each change as (before, now), None where it is not there.
    `taken` makes of an object what is kept of it.
    """

    def __init__(
        self, api: KubernetesApi, path: str, *, selected: Mapping[str, str] | None = None, single: str = "",
        changed: Changed | None = None, taken: Callable[[Object], Object] | None = None,
    ) -> None:  # fmt: skip
        self.objects: dict[str, Object] = {}
        self.listed = asyncio.Event()
        self.trouble = ""
        self.denied = False
        self._api = api
        self._path = path
        self._single = single
        self._query = dict(selected or {})
        if single:
            self._query["fieldSelector"] = f"metadata.name={single}"
        self._changed = changed
        self._taken = taken or _without_history
        self._version = ""
        self._pause = _FIRST_PAUSE
        self._failing_since: float | None = None

    async def run(self) -> None:
        """Follow, until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                    self._well()
                await self._watch()
                self._well()
                # Servers that end every watch at once are not asked without a pause.
                await asyncio.sleep(_FIRST_PAUSE)
            except KubernetesError as error:
                await self._failed(error)

    async def _list(self) -> None:
        if self._single:
            found = await self._one()
        else:
            found, query = [], {**self._query, "limit": _PAGE}
            while True:
                answer = await self._api.get(self._path, **query)
                found += answer.get("items") or []
                version, query["continue"] = _version(answer), answer["metadata"].get("continue") or ""
                if not query["continue"]:
                    break
            self._version = version
        now = {one["metadata"]["name"]: self._taken(one) for one in found}
        for name in self.objects.keys() - now.keys():
            self._set(name, None)
        for name, one in now.items():
            known = self.objects.get(name)
            if known is None or _version(known) != _version(one):
                self._set(name, one)
        self.listed.set()

    async def _one(self) -> list[Object]:
        try:
            found = await self._api.get(f"{self._path}/{self._single}")
        except KubernetesError as error:
            if error.kind != "missing":
                raise
            self._version = "0"
            return []
        self._version = _version(found)
        return [found]

    async def _watch(self) -> None:
        seconds = _LASTS + random.randrange(_LASTS)  # noqa: S311 - no secret
        query = {**self._query, "resourceVersion": self._version}
        async for event in self._api.watch(self._path, seconds, **query):
            kind, one = event.get("type"), event.get("object") or {}
            if kind == "ERROR":
                raise KubernetesError(
                    f"watch {self._path}", int(one.get("code") or 0), str(one.get("message") or "")
                )
            self._version = _version(one)
            if kind == "BOOKMARK":
                continue
            name = one["metadata"]["name"]
            self._set(name, None if kind == "DELETED" else self._taken(one))
            self._well()

    def _set(self, name: str, one: Object | None) -> None:
        before = self.objects.pop(name, None)
        if one is not None:
            self.objects[name] = one
        if self._changed is not None and not (before is None and one is None):
            self._changed(before, one)

    def _well(self) -> None:
        self._pause, self._failing_since = _FIRST_PAUSE, None
        self.trouble, self.denied = "", False

    async def _failed(self, error: KubernetesError) -> None:
        if error.kind in ("expired", "refused"):
            # What we knew of is forgotten there: from the beginning.
            self._version = ""
        now = asyncio.get_running_loop().time()
        self._failing_since = self._failing_since or now
        if not error.passing or now - self._failing_since > _BEAR:
            if self.trouble != str(error):
                _log.warning("cannot be followed", path=self._path, reason=str(error))
            self.trouble = said_by(error)
        self.denied = error.kind == "denied"
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)


def _version(one: Object) -> str:
    return str(one["metadata"].get("resourceVersion") or "")


def _without_history(one: Object) -> Object:
    one["metadata"].pop("managedFields", None)
    return one
