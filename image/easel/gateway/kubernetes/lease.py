"""A Lease of `coordination.k8s.io`: which of the gateways does what only one may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.errors import KubernetesError

_log = structlog.get_logger("easel.kubernetes")
_GROUP = "coordination.k8s.io/v1"
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Lease:
    """Holds the Lease `name` as `holder` while it can. `changed` hears whether it does.

    As client-go's leader election: who holds it renews it in time; others take it when it was not renewed for
    `lasts` seconds by their own clock, which need not be the holder's.
    """

    def __init__(
        self, api: KubernetesApi, name: str, holder: str, changed: Callable[[bool], None], *, lasts: int = 15
    ) -> None:
        self.held = False
        self._api = api
        self._name = name
        self._holder = holder
        self._changed = changed
        self._lasts = lasts
        # The renewal that was seen last, and since when by our own clock.
        self._seen = ("", 0.0)
        self._renewed = 0.0

    async def run(self) -> None:
        """Try for it, and keep it, until cancelled."""
        while True:
            now = asyncio.get_running_loop().time()
            try:
                self._tell(await self._try(now))
                self._renewed = now
            except KubernetesError as error:
                # Another may take it from here on.
                if self.held and now - self._renewed > self._lasts * 2 / 3:
                    _log.warning("the lease is lost", lease=self._name, reason=str(error))
                    self._tell(False)
            await asyncio.sleep(self._lasts / 5)

    async def release(self) -> None:
        """Let another have it at once."""
        if not self.held:
            return
        self._tell(False)
        path = self._api.path("leases", self._name, group=_GROUP)
        try:
            found = await self._api.get(path)
            if found["spec"].get("holderIdentity") == self._holder:
                found["spec"]["holderIdentity"] = ""
                await self._api.put(path, found)
        except KubernetesError as error:
            _log.info("the lease ends by itself", lease=self._name, reason=str(error))

    async def _try(self, now: float) -> bool:
        try:
            found = await self._api.get(self._api.path("leases", self._name, group=_GROUP))
        except KubernetesError as error:
            if error.kind != "missing":
                raise
            lease = {"metadata": {"name": self._name}, "spec": self._spec(None)}
            return await self._write(self._api.post(self._api.path("leases", group=_GROUP), lease))
        spec = found.get("spec") or {}
        holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        if renewed != self._seen[0]:
            self._seen = renewed, now
        if holder not in ("", self._holder) and now - self._seen[1] < self._lasts:
            return False
        found["spec"] = self._spec(spec)
        path = self._api.path("leases", self._name, group=_GROUP)
        return await self._write(self._api.put(path, found))

    async def _write(self, writing: Awaitable[Object]) -> bool:
        try:
            await writing
        except KubernetesError as error:
            if error.kind == "conflict":
                return False
            raise
        return True

    def _spec(self, before: Object | None) -> Object:
        moment = datetime.now(UTC).strftime(_TIME)
        spec: Object = {
            "holderIdentity": self._holder, "leaseDurationSeconds": self._lasts, "renewTime": moment,
            "acquireTime": moment, "leaseTransitions": 0,
        }  # fmt: skip
        if before:
            mine = before.get("holderIdentity") == self._holder
            spec["acquireTime"] = before.get("acquireTime") if mine else moment
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (not mine)
        return spec

    def _tell(self, held: bool) -> None:
        if held != self.held:
            self.held = held
            self._changed(held)
