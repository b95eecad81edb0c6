"""What the stack file says, rendered below EASEL_HOME, and what `easel up` itself needs to know of it.

Reading and checking a stack file takes a third of a second, most of it imports. The gateway should be
starting by then, so what was rendered is used again while nothing it was made from has changed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.local import ports
from scripts.settings import ROOT, CommandRefused, Settings, shown

if TYPE_CHECKING:
    from infra.spec import Spec


@dataclass(frozen=True)
class Configuration:
    """The endpoints of this machine."""

    ports: Mapping[str, int]
    """Where each answers."""
    least: Mapping[str, int]
    """How many replicas of each always run."""
    unused: Sequence[str] = ()
    """Fields of the stack file that do nothing on this machine."""


def current(here: Settings) -> Configuration:
    """What the stack file says now, without writing anything. Raises CommandRefused."""
    found = _rendered(here)
    if found is not None:
        return found
    from infra.render import ports_of
    from scripts.stacks.loading import spec_at

    spec = spec_at(here.stack)
    return _of(spec, ports_of(spec, here.port))


def prepare(here: Settings) -> Configuration:
    """Have the configuration in place before the gateway starts.

    Raises CommandRefused, for a taken port too.
    """
    found = _rendered(here)
    if found is not None:
        ports.refuse_taken({"the console": here.console_port, **found.ports})
        return found
    return _render(here, {}, {"the console": here.console_port})


def follow(here: Settings, now: Configuration) -> Configuration:
    """Take a changed stack file; endpoints that stay keep their ports.

    Raises CommandRefused and changes nothing.
    """
    return _render(here, now.ports, {})


def version(here: Settings) -> int:
    """A number that changes with the stack file."""
    try:
        return here.stack.stat().st_mtime_ns
    except OSError:
        return 0


def _render(here: Settings, kept: Mapping[str, int], also: Mapping[str, int]) -> Configuration:
    from infra.render import ports_of, render
    from infra.rules import unused_on_one_machine
    from scripts.stacks.loading import spec_at

    before = _made_from(here)
    spec = spec_at(here.stack)
    if spec.team.runs_on != "local":
        raise CommandRefused(
            f"{shown(here.stack)} says runs_on: {spec.team.runs_on}, which is for `pulumi up`; "
            "on this machine only runs_on: local"
        )
    wanted = ports_of(spec, here.port, kept)
    ports.refuse_taken({**also, **{name: port for name, port in wanted.items() if name not in kept}})
    mark = _mark(here)
    mark.unlink(missing_ok=True)
    render(spec, here.home / "config", wanted, here.console_port)
    if not kept:  # ports that were kept are not those of a fresh start
        mark.write_text(json.dumps({"from": before, "unused": unused_on_one_machine(spec)}))
    return _of(spec, wanted)


def _of(spec: "Spec", wanted: Mapping[str, int]) -> Configuration:
    from infra.rules import unused_on_one_machine

    least = {name: each.replicas.min for name, each in spec.endpoints.items()}
    return Configuration(wanted, least, unused_on_one_machine(spec))


def _rendered(here: Settings) -> Configuration | None:
    """What was rendered before, if it was made from what is there now."""
    try:
        mark = json.loads(_mark(here).read_text())
        if mark["from"] != _made_from(here):
            return None
        names = json.loads((here.home / "config" / "team.json").read_text())["endpoints"]
        found = {name: json.loads((here.home / "config" / f"{name}.json").read_text()) for name in names}
        return Configuration(
            {name: int(each["port"]) for name, each in found.items()},
            {name: int(each["replicas"]["min"]) for name, each in found.items()},
            mark["unused"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made_from(here: Settings) -> dict[str, Any]:
    """Everything that the rendered files depend on."""
    sources = [here.stack, *sorted((ROOT / "infra").glob("*.py"))]
    return {"stack": str(here.stack), "port": here.port, "files": [_stamp(path) for path in sources]}


def _stamp(path: Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _mark(here: Settings) -> Path:
    return here.home / "run" / "rendered.json"
