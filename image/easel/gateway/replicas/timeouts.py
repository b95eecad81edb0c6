"""How patient a backend is with its replicas and with whoever runs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReplicaTimeouts:
    """In seconds, but for the two that count. The defaults are those of processes.

    What Kubernetes has a name for is called so. What the user may set is the endpoint's `timeouts`.
    """

    # After so many starts in a row that came to nothing, only `revive` tries again (backoffLimit).
    backoff_limit: int = 5
    # Ready for this long makes earlier failures forgotten (minReadySeconds).
    min_ready: float = 60.0
    # A poll that is not answered within this is missed (timeoutSeconds).
    probe: float = 2.0
    # A replica that once answered and then is silent for this long hangs.
    unresponsive: float = 120.0
    # Between two looks at a replica that drains; it is done when it has nothing to do twice.
    drain_poll: float = 0.5

    # Processes: the wait before the second start, doubled each time up to the longest.
    backoff: float = 1.0
    max_backoff: float = 60.0
    # Processes: between SIGTERM and SIGKILL (terminationGracePeriodSeconds).
    termination_grace: float = 10.0

    # AWS: one look at it serves all endpoints for so long.
    inventory_age: float = 4.0
    # AWS: what is seen counts as old after this, and is said to be.
    inventory_stale: float = 60.0
    # AWS: between two looks at a group's scaling activities while something is under way.
    activities_poll: float = 10.0
    # AWS: between two tries of what it refused for the moment.
    retry: float = 5.0
    # AWS: for how long a capacity that we set is believed over a description that does not show it yet.
    capacity_lag: float = 30.0
    # AWS: an instance that was let go and is still there after this is terminated by name.
    scale_in_lag: float = 90.0
    # AWS: between two words to it that a termination hook is still being worked on.
    hook_heartbeat: float = 300.0
    # AWS: the host starts its container again by itself; after this its instance is replaced.
    repair: float = 180.0
    # AWS: as it is after so many failures of its container, unless it was steady between them.
    crash_limit: int = 4
    # AWS: after this, a group that bought on-demand for want of spot asks for spot again.
    spot_retry: float = 1800.0
    # AWS: for so long nobody draws before a prepared instance is replaced for a new image.
    pool_rest: float = 300.0
