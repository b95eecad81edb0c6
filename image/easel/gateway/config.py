"""What `infra` rendered under `config/`: the team and its endpoints. Unknown fields are for others and are
passed over."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from easel.gateway.errors import ConfigError

CONSOLE = "console"
_RESERVED = {CONSOLE, "team"}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]|[a-z]")

_Model = TypeVar("_Model", bound=BaseModel)
Port = Annotated[int, Field(ge=1, le=65535)]
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# A name that a certificate can be had for: no address, no wildcard, no bare word.
Host = Annotated[str, Field(max_length=253, pattern=rf"^({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?$")]

# Addresses as CIDR writes them.
Network = Annotated[str, Field(max_length=50, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]

# The origin of a web page, as browsers send it.
Origin = Annotated[str, Field(max_length=300, pattern=r"^https?://[a-z0-9.\[\]:-]+$")]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Link(_Read):
    """A first token, by its SHA-256: its plaintext is a secret output of the stack and never comes here."""

    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Console(_Read):
    """Where the operator's page listens."""

    port: Port = 7859
    # With a host it is served by TLS, and the port may be shared.
    host: Host | None = None
    link: Link | None = None


class Acme(_Read):
    """How certificates are had: the address that the authority writes to when one is about to end, and an
    authority of the team's own, with the certificate that it is trusted by itself."""

    email: str | None = Field(None, pattern=r"^[^\s\"{}`@]+@[^\s\"{}`@]+$")
    directory: str | None = Field(None, pattern=r"^https://[^\s\"{}`]+$")
    root: str | None = Field(None, pattern=r"^\s*-----BEGIN CERTIFICATE-----")


class Replicas(_Read):
    """How few and how many replicas an endpoint has."""

    min: int = Field(0, ge=0)
    max: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Replicas:
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is below min ({self.min})")
        return self


class Timeouts(_Read):
    """Seconds: how long a request waits for a replica, and then for its answer's first byte."""

    wake: float = Field(900, gt=0)
    request: float = Field(3600, gt=0)


class Instances(_Read):
    """An endpoint's Auto Scaling group. `price` is dollars an hour for one instance of the preferred type.

    `hook` is the launch hook, which the host completes; `farewell` the termination hook, which the gateway
    completes; `warm` how many stopped instances are kept ready; `least_vcpus` those of the smallest type that
    the group may start.
    """

    group: Annotated[str, Field(min_length=1, max_length=255)]
    hook: str = "ready"
    farewell: str = "drained"
    warm: Annotated[int, Field(ge=0)] = 0
    price: Annotated[float, Field(ge=0)] = 0.0
    least_vcpus: Annotated[int, Field(ge=0)] = 0
    log_group: str = ""


class ClusterDeployment(_Read):
    """An endpoint's Deployment in a cluster; its ScaledObject has the same name."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


class TlsEdge(_Read):
    """TLS ends before the door: `trusted` are the networks of the proxies whose `X-Forwarded-For` counts."""

    trusted: list[Network] = []


class Container(_Read):
    """How the gateway speaks to a replica: its port, the path that answers when it is up (None: the port
    alone tells), and how it says what it does."""

    # What hosts run: a reference by digest, or an own container's.
    image: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 7860
    health: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = "/internal/ping"
    load: Literal["easel", "a1111", "requests"] = "easel"
    # Variable → ARN in Secrets Manager. The hosts read all; the gateway those that sources of models ask for.
    secrets: dict[str, str] = {}


class Budget(_Read):
    """Dollars a month for awake instances; with `stop` a fuse, past which nothing wakes."""

    monthly: Annotated[float, Field(gt=0)]
    stop: bool = False


class Endpoint(_Read):
    """One endpoint, as `config/<endpoint>.json` says it. Times are seconds, sizes are bytes."""

    name: str
    shape: str = ""
    port: Port
    # With a host it is served by TLS, and the port may be shared.
    host: Host | None = None
    replicas: Replicas = Replicas(min=0, max=1)
    idle: float = Field(900, gt=0)
    public: bool = False
    # Whose pages may call, beside the endpoint's own.
    cors: list[Origin] = []
    concurrency: int = Field(8, ge=1)
    timeouts: Timeouts = Timeouts(wake=900, request=3600)
    max_body: int = Field(100 * 1024 * 1024, ge=1)
    env: dict[str, str] = {}
    # Addresses of the models that are to be in the store.
    models: list[str] = []
    link: Link | None = None
    # On AWS: its Auto Scaling group, and how its container is spoken to.
    instances: Instances | None = None
    # In a cluster: its Deployment.
    deployment: ClusterDeployment | None = None
    container: Container | None = None

    @model_validator(mode="after")
    def _named(self) -> Endpoint:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise ValueError(
                f"name {self.name!r} cannot be an address: small letters, digits and hyphens, "
                f"a letter first, up to 40, and none of {', '.join(sorted(_RESERVED))}"
            )
        return self


_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# The issuer of one tenant of Microsoft Entra. Those of `common` and `organizations` vouch for any tenant, and
# who runs one says what addresses its people have.
_TENANT = re.compile(
    r"https://login\.(microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn)"
    r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/v2\.0"
)
_KNOWN = {
    "accounts.google.com": "Google",
    "login.microsoftonline.com": "Microsoft",
    "gitlab.com": "GitLab",
}


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) and value.isascii() else value


MailDomain = Annotated[
    str, BeforeValidator(_lower), Field(max_length=253, pattern=rf"^({_LABEL}\.)+{_LABEL}$")
]


class Members(_Read):
    """Single sign-on, as `config/team.json` says it. `client_secret` is the ARN or name of a secret in AWS
    Secrets Manager, never the secret itself."""

    issuer: Annotated[str, Field(max_length=500)]
    client_id: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[ -~]+$")]
    client_secret: Annotated[str, Field(max_length=600, pattern=r"^[A-Za-z0-9/_+=.@:-]+$")] | None = None
    domains: Annotated[tuple[MailDomain, ...], Field(min_length=1)]
    verified_by: Literal["email_verified", "xms_edov"] = "email_verified"
    """The claim that says an address is its owner's. Microsoft Entra has no `email_verified`; its `xms_edov`
    says that the tenant has proved to own the address's domain."""

    @field_validator("issuer")
    @classmethod
    def _reached_safely(cls, issuer: str) -> str:
        if not reached_safely(issuer) or "?" in issuer or "#" in issuer:
            raise ValueError("it must be an https:// address without a query (http:// on this machine only)")
        return issuer

    @model_validator(mode="after")
    def _of_one_tenant(self) -> Members:
        if self.verified_by == "xms_edov" and not (_TENANT.fullmatch(self.issuer) or _here(self.issuer)):
            raise ValueError(
                "verified_by: xms_edov counts from the issuer of one Microsoft Entra tenant only: "
                "https://login.microsoftonline.com/<the tenant's id>/v2.0"
            )
        return self

    @property
    def provider(self) -> str:
        """What people know the provider by."""
        host = urlsplit(self.issuer).hostname or ""
        return _KNOWN.get(host, host)

    @property
    def fingerprint(self) -> str:
        """Changes when sessions that were begun before must end: with the provider, the client, the domains
        or what counts as verified."""
        parts: list[object] = [self.issuer, self.client_id, sorted(self.domains)]
        if self.verified_by != "email_verified":
            parts.append(self.verified_by)
        text = json.dumps(parts)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Team(_Read):
    """The team, as `config/team.json` says it."""

    team: str = "local"
    runs_on: str = "local"
    domain: str | None = None
    # Loopback unless the operator says otherwise: a studio on a laptop is not for the whole café.
    bind: str = Field("127.0.0.1", pattern=r"^[0-9A-Za-z.:-]+$")
    console: Console = Console(port=7859)
    # With it hosts are served in plain HTTP, behind whoever speaks TLS to people.
    edge: TlsEdge | None = None
    acme: Acme = Acme(email=None)
    budget: Budget | None = None
    # In a cluster whose nodes are bought: dollars an hour of each type of machine.
    machines: dict[str, Annotated[float, Field(ge=0)]] = {}
    # Single sign-on; without it people enter by link.
    members: Members | None = None
    region: str | None = None
    # None: every endpoint that has a file.
    endpoints: list[str] | None = None


@dataclass(frozen=True)
class Config:
    """The team and the endpoints it serves, by name."""

    team: Team
    endpoints: dict[str, Endpoint]

    @cached_property
    def hosts(self) -> dict[str, str]:
        """Whose each host is; empty without a domain."""
        hosts = {name: endpoint.host for name, endpoint in self.endpoints.items()}
        return {host: name for name, host in {CONSOLE: self.team.console.host, **hosts}.items() if host}

    def ports(self) -> dict[int, str]:
        """Who listens where, the first by name of those that share a port.

        Raises ConfigError if two ask for the same place: a port is shared by hosts, each its own.
        """
        taken: dict[tuple[int, str | None], str] = {(self.team.console.port, self.team.console.host): CONSOLE}
        for endpoint in self.endpoints.values():
            other = taken.setdefault((endpoint.port, endpoint.host), endpoint.name)
            if other != endpoint.name:
                field, value = ("host", endpoint.host) if endpoint.host else ("port", endpoint.port)
                raise ConfigError(
                    f"config/{endpoint.name}.json: {field}: {value} is also the {field} of {other}; "
                    "give each its own"
                )
        ports: dict[int, str] = {}
        for (port, host), name in taken.items():
            if ports.setdefault(port, name) != name and (host is None or (port, None) in taken):
                raise ConfigError(
                    f"config/{name}.json: port: {port} is also the port of {ports[port]}; "
                    "only those that each have a host share one"
                )
        return ports


def read(folder: Path) -> Config:
    """The configuration in `folder` (EASEL_HOME/config). Raises ConfigError naming file, path in it and what
    is allowed."""
    team = _load(folder / "team.json", Team)
    found = sorted(path.stem for path in folder.glob("*.json") if path.stem != "team")
    names = found if team.endpoints is None else team.endpoints
    endpoints: dict[str, Endpoint] = {}
    missing = set(names).difference(found)
    for name in names:
        if name in missing:
            near = difflib.get_close_matches(name, found, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"config/team.json: endpoints: {name!r} has no config/{name}.json{hint}")
        endpoint = _load(folder / f"{name}.json", Endpoint)
        if endpoint.name != name:
            raise ConfigError(
                f"config/{name}.json: name: {endpoint.name!r} must be the file's name, {name!r}"
            )
        endpoints[name] = endpoint
    config = Config(team, endpoints)
    config.ports()
    return config


def _load(path: Path, model: type[_Model]) -> _Model:
    where = f"config/{path.name}"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{where} is missing from {path.parent}; `easel up` writes it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} is not JSON: {error}") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
            value = (
                ""
                if problem["type"] == "missing" or not problem["loc"]
                else f" (it is {problem['input']!r:.80})"
            )
            lines.append(f"{where}: {place}: {problem['msg'].removeprefix('Value error, ')}{value}")
        raise ConfigError("\n".join(lines)) from None


def reached_safely(address: object, *, loopback: bool = True) -> bool:
    """Whether secrets may travel to an address: by https, or (if `loopback`) within this machine."""
    if not isinstance(address, str) or not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and host in _LOOPBACK)


def _here(issuer: str) -> bool:
    """Whether a provider is on this machine, where it is somebody's own stand-in."""
    return urlsplit(issuer).hostname in _LOOPBACK
