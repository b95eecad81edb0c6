"""What an instance is told at its first boot: cloud-init's user data for a replica and for the gateway.

Pure functions from facts that never change while the instance lives. Whatever may change (image, models,
environment, limits) is read on the host at every boot from the team's configuration objects, so that a clone
or a new limit replaces no machine. No secret is in it: anyone on the instance may read user data.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Replica:
    """What a replica's host must know before it can read the configuration of its endpoint."""

    region: str
    """The region that the instance runs in, `us-east-1`."""
    team: str
    endpoint: str
    bucket: str
    """The bucket that holds `config/<endpoint>.json`."""
    log_group: str
    """Where the container's log goes (stream: the instance's id) and the host's own (`<id>/host`)."""


@dataclass(frozen=True)
class Gateway:
    """What the gateway's host must know before it can read `config/team.json`."""

    region: str
    team: str
    bucket: str
    """The bucket that holds `config/team.json`."""
    log_group: str
    volume: str
    """The id of the data volume, `vol-0123456789abcdef0`: the host finds the device by it."""


def replica(facts: Replica) -> str:
    """The user data of a replica: plain text, not yet base64. Equal facts give equal text."""
    raise NotImplementedError


def gateway(facts: Gateway) -> str:
    """The user data of the gateway: plain text, not yet base64. Equal facts give equal text."""
    raise NotImplementedError
