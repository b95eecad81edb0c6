"""What the controller of a group can do, each as a value: `decision` chooses, `replica_group` carries out."""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.replicas.aws.instance import Ending


@dataclass(frozen=True)
class Action:
    """One step."""


@dataclass(frozen=True)
class InstanceAction(Action):
    """One step about one instance."""

    instance: str


@dataclass(frozen=True)
class BeginEnding(InstanceAction):
    """End it in this way."""

    ending: Ending


class ContinueEnding(InstanceAction):
    """Do what is next for one that goes, or that its group is to replace."""


class Recall(InstanceAction):
    """Keep one that drains."""


class Replace(InstanceAction):
    """It failed: have the group end it and start another."""


@dataclass(frozen=True)
class GiveUp(InstanceAction):
    """It failed, and no other is started: end it, and let the verdict stand in its place."""

    verdict: str


class CompleteTermination(InstanceAction):
    """Tell the group that it may end it, on its way into the warm pool or out of it."""


class ReplacePrepared(InstanceAction):
    """It holds an old image: have the group prepare another one."""


@dataclass(frozen=True)
class SetNumber(Action):
    """Have a number."""

    number: int


class SetDesiredCapacity(SetNumber):
    """The group wants so many instances."""


class SetOnDemandShare(SetNumber):
    """It buys so many percent on-demand and the rest as spot."""


class SetFailures(SetNumber):
    """So many instances in a row came to nothing."""


@dataclass(frozen=True)
class AddPlaceholder(Action):
    """Say why an instance that was asked for is not there and will not come by itself."""

    text: str
    kind: str


@dataclass(frozen=True)
class DropPlaceholders(Action):
    """Do without these."""

    ids: frozenset[str]


@dataclass(frozen=True)
class Note(Action):
    """Remember a sentence, and tell it where it is news."""

    text: str


class NoteBudget(Note):
    """The budget is spent, for this reason, or has room again, for none."""


class NoteRollout(Note):
    """How the warm pool's new image goes."""


class NoteShortage(Note):
    """Why instances that were asked for do not come; with none, what AWS said before counts no more."""


@dataclass(frozen=True)
class Say(Action):
    """An event. `once`: not again before instances are asked for anew."""

    replica: str | None
    kind: str
    text: str
    once: bool = False
