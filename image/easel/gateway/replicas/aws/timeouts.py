"""How long the gateway waits for AWS, for hosts and for containers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """All in seconds but `crashes` and `attempts`."""

    # A look at AWS serves all endpoints for so long.
    keep: float = 4.0
    # What is seen counts as old after this, and is said to be.
    quiet: float = 60.0
    # Between two looks at a group's scaling activities while something is under way.
    activities: float = 10.0
    # Between two tries of what AWS refused for the moment.
    again: float = 5.0
    # For how long a capacity that we set is believed over a description that does not show it yet.
    believe: float = 30.0
    # Between two looks at a replica that drains; it is done when it has nothing to do twice.
    settle: float = 2.0
    # A container that once answered and then is silent for this long hangs.
    silence: float = 120.0
    # The host starts its container again by itself; after this its instance is replaced.
    mend: float = 180.0
    # As it is after so many failures of its container, unless it was steady between them.
    crashes: int = 4
    # After so many instances in a row that came to nothing, only `revive` asks for another.
    attempts: int = 3
    # Ready for this long makes earlier failures forgotten.
    steady: float = 300.0
    # After this, a group that bought on-demand for want of spot asks for spot again.
    spot: float = 1800.0
    # Between two words to AWS that a termination hook is still being worked on.
    heartbeat: float = 300.0
    # For so long nobody draws before a prepared instance is replaced for a new image.
    rest: float = 300.0
    # An instance that was let go and is still there is terminated by name.
    unheeded: float = 90.0
