"""Answers Caddy: who may pass, whether, and where to; and the door's own pages below `/easel`.

Each request of a caller comes by here once, before its bytes go on (`relay`).
"""

from easel.gateway.door.forward_auth import ForwardAuth, Handler
from easel.gateway.door.member_routes import MemberRoutes
from easel.gateway.door.named_requests import NamedRequests
