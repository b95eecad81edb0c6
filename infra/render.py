"""Writes a spec as the JSON files that gateway and studio follow (docs/architecture.md, Configuration)."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.spec import Endpoint, Spec

HIGHEST_PORT = 65535


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
    return {
        "team": spec.name,
        "runs_on": spec.team.runs_on,
        "domain": spec.team.domain,
        "console": {"port": console_port},
        "endpoints": list(spec.endpoints),
    }


def endpoint_config(name: str, endpoint: Endpoint, port: int) -> dict[str, Any]:
    """What `config/<endpoint>.json` holds. Times are seconds."""
    return {
        "name": name,
        "shape": endpoint.shape,
        "port": port,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "warm": endpoint.warm,
        "idle": endpoint.idle,
        "public": endpoint.public,
        "concurrency": endpoint.concurrency,
        "timeouts": {"wake": endpoint.timeouts.wake, "request": endpoint.timeouts.request},
        "models": list(endpoint.models),
        "env": dict(endpoint.env),
    }


def render(spec: Spec, folder: Path, ports: Mapping[str, int], console_port: int) -> None:
    """Write the configuration, each file whole or not at all, and remove that of endpoints that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, endpoint in spec.endpoints.items():
        _write(folder / f"{name}.json", endpoint_config(name, endpoint, ports[name]))
    # Last, so that nobody reads of an endpoint that has no file yet.
    _write(folder / "team.json", team_config(spec, console_port))
    for file in folder.glob("*.json"):
        if file.stem != "team" and file.stem not in spec.endpoints:
            file.unlink(missing_ok=True)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1) + "\n"
    if file.is_file() and file.read_text() == text:
        return  # the gateway follows changes; this is none
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
