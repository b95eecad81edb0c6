"""The door: who may pass, whether, and where to; the console; waking and sleeping.

    from easel.gateway import Load, Scaling, wanted

Run it with `python -m easel.gateway --home DIR`. Importing this package is light: no web framework, no model
library.
"""

from easel.gateway.caddyfile import caddyfile
from easel.gateway.config import Config, Endpoint, Team
from easel.gateway.errors import GatewayError
from easel.gateway.events import Event, Events
from easel.gateway.plan import Plan, Site
from easel.gateway.replicas import Backend, Load, Replica, ReplicaState, Scaling, Work, wanted

__all__ = [
    "Backend",
    "Config",
    "Endpoint",
    "Event",
    "Events",
    "GatewayError",
    "Load",
    "Plan",
    "Replica",
    "ReplicaState",
    "Scaling",
    "Site",
    "Team",
    "Work",
    "caddyfile",
    "wanted",
]
