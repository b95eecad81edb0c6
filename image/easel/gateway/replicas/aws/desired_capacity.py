"""A group's desired capacity: what was asked for, what AWS has taken, and what is still to be asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from easel.gateway.aws import AwsError
from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.gateway.replicas.aws.group_api import GroupApi
from easel.remark import remark


class DesiredCapacity:
    """Sets the desired capacity and keeps at it while AWS says “not now”.

    `refused` hears of what waiting does not mend, `trouble` says why it is still waiting.
    """

    def __init__(
        self, api: GroupApi, timeouts: ReplicaTimeouts, *, refused: Callable[[AwsError], None]
    ) -> None:
        self._api = api
        self._timeouts = timeouts
        self._refused = refused
        self._wish: int | None = None
        self._asked: int | None = None
        self._asked_at = 0.0
        self._again_at = 0.0
        self._asking = False
        self.trouble = ""

    def of(self, group: AutoScalingGroup) -> int:
        """The capacity to reckon with: described ones lag behind what was asked."""
        if self._wish is not None:
            return self._wish
        if self._asked is not None:
            lagged = time.monotonic() - self._asked_at > self._timeouts.capacity_lag
            if group.desired != self._asked and not lagged:
                return self._asked
            self._asked = None
        return group.desired

    def believe(self, desired: int) -> None:
        """AWS changed it on its own account, as we asked it to do with an instance."""
        self._asked, self._asked_at = desired, time.monotonic()

    def want(self, desired: int) -> None:
        """Have it set, now or as soon as AWS can."""
        self._wish, self._again_at = desired, 0.0

    @property
    def due(self) -> bool:
        """Whether something is to be asked now."""
        return self._wish is not None and not self._asking and time.monotonic() >= self._again_at

    async def ask(self, group: str) -> None:
        """Ask AWS for what is wanted; what it refuses for the moment stays wanted."""
        if self._asking:
            return  # whoever asks takes the new wish too
        self._asking = True
        try:
            while (wish := self._wish) is not None:
                await self._api.set_capacity(group, wish)
                self.believe(wish)
                self.trouble = ""
                if self._wish == wish:
                    self._wish = None
        except AwsError as error:
            self._again_at = time.monotonic() + self._timeouts.retry
            if error.passing:
                self.trouble = remark("asking_again", "{why}; asking again", why=error)
            else:
                self._wish = None
                self._refused(error)
        finally:
            self._asking = False
