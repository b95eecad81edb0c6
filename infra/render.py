"""Writes a spec as the JSON files that gateway and studio follow (docs/architecture.md, Configuration)."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.limits_spec import LimitsSpec
from infra.shapes import SHAPES, InstanceType
from infra.spec import EndpointSpec, Spec

HIGHEST_PORT = 65535

HTTPS = 443
"""On instances all answer at the same port, and the host tells them apart."""

STUDIO_PORT = 7860
"""Where easel's studio listens in its container."""

STUDIO_USER = 1000
"""Who it runs as: the owner of all files of the team's file system."""

READY, DRAINED = "ready", "drained"
"""Lifecycle hooks: the host says that a new instance is ready, the gateway that an old one is empty."""


def ports_of(spec: Spec, first: int, kept: Mapping[str, int] | None = None) -> dict[str, int]:
    """A port for each endpoint, from `first` on in the order of the file.

    `kept` are the ports that endpoints answer on now: a link that was handed out stays right when another
    endpoint comes or goes.
    """
    ports = {name: port for name, port in (kept or {}).items() if name in spec.endpoints}
    free = (port for port in range(first, HIGHEST_PORT + 1) if port not in ports.values())
    for name in spec.endpoints:
        if name not in ports:
            ports[name] = next(free)
    return {name: ports[name] for name in spec.endpoints}


def team_config(spec: Spec, console_port: int) -> dict[str, Any]:
    """What `config/team.json` holds."""
    members = spec.team.members
    return {
        "team": spec.name,
        "runs_on": spec.team.runs_on,
        "domain": spec.team.domain,
        "console": {"port": console_port},
        "endpoints": list(spec.endpoints),
        **({"members": members.model_dump()} if members else {}),
    }


def endpoint_config(name: str, endpoint: EndpointSpec, port: int, quota: int | None = None) -> dict[str, Any]:
    """What `config/<endpoint>.json` holds. Times are seconds; `quota` is the team's, in bytes."""
    # The studio reads it there, wherever it runs.
    told = {} if quota is None else {"EASEL_QUOTA": str(quota)}
    told |= {"EASEL_CHECKPOINT": endpoint.checkpoint} if endpoint.checkpoint else {}
    told |= {"EASEL_EXACT": "1"} if endpoint.exact else {}
    told |= {"EASEL_COMPILE": "1"} if endpoint.compile else {}
    told |= {"EASEL_CUDA_GRAPHS": "1"} if endpoint.cuda_graphs else {}
    told |= {"EASEL_PRECISION": endpoint.precision} if endpoint.precision != "auto" else {}
    told |= _limits(endpoint.limits)
    return {
        "name": name,
        "shape": endpoint.shape,
        "port": port,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "warm": endpoint.warm,
        "idle": endpoint.idle,
        "public": endpoint.public,
        "cors": list(endpoint.cors),
        "concurrency": endpoint.concurrency,
        "timeouts": {"wake": endpoint.timeouts.wake, "request": endpoint.timeouts.request},
        "models": list(endpoint.models),
        "env": {**endpoint.env, **told},
    }


def _limits(limits: LimitsSpec) -> dict[str, str]:
    """The variables that `easel.studio.engine.requests.limits` reads: a number each, and roles."""
    everyone = {f"EASEL_{name.upper()}": str(number) for name, number in limits.everyone.said.items()}
    roles = {role: one.said for role, one in limits if role != "everyone" and one.said}
    return everyone | ({"EASEL_LIMITS": json.dumps(roles, sort_keys=True)} if roles else {})


@dataclass(frozen=True)
class Provisioned:
    """What AWS made for an endpoint, as far as its configuration names it."""

    host: str
    """`studio.art.example.com`."""
    link_hash: str
    group: str
    log_group: str
    image: str
    """The studio's image by digest; an own container takes the place of it."""
    secrets: Mapping[str, str]
    """Variable → ARN."""
    file_system: str
    models: str
    outputs: str | None
    types: Sequence[InstanceType]
    """What the region sells of the shape, the preferred type first."""
    quota: int | None = None
    """The team's, in bytes."""


def team_on_instances(
    spec: Spec, region: str, console_host: str, link_hash: str, gateway_image: str, storage: Mapping[str, str]
) -> dict[str, Any]:
    """What `config/team.json` holds on AWS. `storage` names file system and access point of the models."""
    team = spec.team
    config = team_config(spec, HTTPS)
    # Every file is an endpoint: a list here would be written before a new endpoint's file is, and be refused.
    del config["endpoints"]
    return {
        **config,
        "region": region,
        "bind": "0.0.0.0",  # noqa: S104 - the machine is the door, and its security group opens 80 and 443 only
        "console": {"port": HTTPS, "host": console_host, "link": {"hash": link_hash}},
        "acme": {
            "email": team.budget.notify if team.budget else None,
            **(team.acme.model_dump() if team.acme else {}),
        },
        "budget": {"monthly": team.budget.monthly, "stop": team.budget.stop} if team.budget else None,
        "members": team.members.model_dump() if team.members else None,
        "gateway": {"image": gateway_image},
        "storage": dict(storage),
    }


def endpoint_on_instances(name: str, endpoint: EndpointSpec, made: Provisioned) -> dict[str, Any]:
    """What `config/<endpoint>.json` holds on AWS."""
    return {
        **endpoint_config(name, endpoint, HTTPS, made.quota),
        "host": made.host,
        "link": {"hash": made.link_hash},
        "instances": {
            "group": made.group,
            "hook": READY,
            "farewell": DRAINED,
            "warm": endpoint.warm,
            "capacity": endpoint.capacity,
            "price": made.types[0].price,
            "least_vcpus": min(kind.vcpu for kind in made.types),
            "log_group": made.log_group,
        },
        "container": container(endpoint, made.image, made.secrets),
        "storage": {
            "file_system": made.file_system,
            "models": made.models,
            "outputs": made.outputs,
            "retention": endpoint.storage.retention,
        },
    }


def container(endpoint: EndpointSpec, studio: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The container of an endpoint: easel's studio, or its own."""
    own = endpoint.image
    return {
        "image": own.ref if own else studio,
        "port": port_inside(endpoint),
        "command": own.command if own else None,
        "health": (None if own.health == "none" else own.health) if own else "/internal/ping",
        "load": own.load if own else "easel",
        "user": own.user if own else STUDIO_USER,
        "gpu": SHAPES[endpoint.shape].gpu is not None,
        "mounts": [mount.model_dump() for mount in own.mounts] if own else [],
        "env": dict(endpoint.env),
        "secrets": dict(secrets),
        "registry": own.registry if own else None,
    }


def port_inside(endpoint: EndpointSpec) -> int:
    """The port that the container of an endpoint listens on."""
    return endpoint.image.port if endpoint.image and endpoint.image.port else STUDIO_PORT


def text(content: Mapping[str, Any]) -> str:
    """Configuration as it is written: one form, so that what has not changed is not a change."""
    return json.dumps(content, indent=1) + "\n"


def render(spec: Spec, folder: Path, ports: Mapping[str, int], console_port: int) -> None:
    """Write the configuration, each file whole or not at all, and remove that of endpoints that are gone."""
    # Its owner's alone, as all of EASEL_HOME: `env` may hold what is nobody else's business.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, endpoint in spec.endpoints.items():
        _write(folder / f"{name}.json", endpoint_config(name, endpoint, ports[name], spec.team.storage.quota))
    # Last, so that nobody reads of an endpoint that has no file yet.
    _write(folder / "team.json", team_config(spec, console_port))
    for file in folder.glob("*.json"):
        if file.stem != "team" and file.stem not in spec.endpoints:
            file.unlink(missing_ok=True)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    written = text(content)
    if file.is_file() and file.read_text() == written:
        return  # the gateway follows changes; this is none
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(written)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
