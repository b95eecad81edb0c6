"""What an instance is told at its first boot: cloud-init's user data for a replica and for the gateway.

Pure functions from facts that never change while the instance lives. Whatever may change (image, models,
environment, limits) is read on the host at every boot from the team's configuration objects, so that a clone
or a new limit replaces no machine. No secret is in it: anyone on the instance may read user data.

The steps are the files in `host/`, as docs/reference/host.md tells. They travel as one tar, by bzip2: plain
they are over the limit, and gzip's bytes differ between builds of zlib, so that two people's previews would
each undo the other's. Comments and docstrings stay here, as they are a quarter of what is packed.
"""

import ast
import base64
import bz2
import io
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIMIT = 16 * 1024
"""The most bytes that EC2 takes as user data, before base64."""

HOST = Path(__file__).resolve().parent / "host"
_SHARED = (
    *("host.sh", "settings.sh", "setting.py", "image.sh", "secret.py", "ready.sh", "probe.py"),
    *("storage.sh", "stop.sh", "ended.sh", "journal.sh", "journal.py"),
)
_REPLICA = ("hook.sh", "starter.sh", "fence.sh", "container.py", "serve.sh", "watch.sh")
_GATEWAY = ("disk.sh", "door.sh", "follow.sh", "patch.sh")


@dataclass(frozen=True)
class ReplicaFacts:
    """What a replica's host must know before it can read the configuration of its endpoint."""

    region: str
    """The region that the instance runs in, `us-east-1`."""
    team: str
    endpoint: str
    bucket: str
    """The bucket that holds `config/<endpoint>.json`."""
    log_group: str
    """Where the container's log goes (stream: the instance's id) and the host's own (`<id>/host`)."""


@dataclass(frozen=True)
class GatewayFacts:
    """What the gateway's host must know before it can read `config/team.json`."""

    region: str
    team: str
    bucket: str
    """The bucket that holds `config/team.json`."""
    log_group: str
    volume: str
    """The id of the data volume, `vol-0123456789abcdef0`: the host finds the device by it."""


class UserDataTooLong(ValueError):
    """The files of `host/` have outgrown what EC2 takes."""


def replica(facts: ReplicaFacts) -> str:
    """The user data of a replica: plain text, not yet base64. Equal facts give equal text on every machine.

    Raises UserDataTooLong.
    """
    return _cloud_config(
        f"Replica of {facts.endpoint}, team {facts.team}.",
        _told("replica", facts, facts.endpoint, "container.image"),
        _SHARED + _REPLICA,
        ("easel-journal.service", "easel-watch.service", "easel-replica.service"),
    )


def gateway(facts: GatewayFacts) -> str:
    """The user data of the gateway: plain text, not yet base64. Equal facts give equal text on every machine.

    Raises UserDataTooLong.
    """
    return _cloud_config(
        f"Gateway of team {facts.team}.",
        _told("gateway", facts, "team", "gateway.image") | {"VOLUME": facts.volume},
        _SHARED + _GATEWAY,
        ("easel-journal.service", "easel-gateway.service", "easel-follow.timer", "easel-patch.timer"),
        ("easel-follow.service", "easel-patch.service"),
    )


def _told(role: str, facts: ReplicaFacts | GatewayFacts, configuration: str, image_at: str) -> dict[str, str]:
    """What every host's scripts find in `/etc/easel/facts`."""
    return {
        "ROLE": role,
        "AWS_DEFAULT_REGION": facts.region,
        "BUCKET": facts.bucket,
        "OBJECT": f"config/{configuration}.json",
        "IMAGE_AT": image_at,
        "LOG_GROUP": facts.log_group,
    }


def _cloud_config(
    title: str,
    facts: Mapping[str, str],
    files: Sequence[str],
    units: Sequence[str],
    started_by_others: Sequence[str] = (),
) -> str:
    """Facts as a file that shells read, the steps as an archive, and the units that begin at every boot."""
    lines = "".join(f"      {name}={shlex.quote(value)}\n" for name, value in facts.items())
    packed = _packed(tuple(files), (*units, *started_by_others))
    # --no-block: cloud-init itself is a unit that these come after by way of the network, and would wait for
    # itself.
    text = f"""#cloud-config
# {title} What happens here: docs/reference/host.md of Easel.
write_files:
  - path: /etc/easel/facts
    content: |
{lines}  - path: /opt/easel/host.tar.bz2
    encoding: b64
    content: {packed}
runcmd:
  - [python3, -m, tarfile, -e, /opt/easel/host.tar.bz2, /]
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, --no-block, {", ".join(units)}]
"""
    if len(text.encode()) > LIMIT:
        raise UserDataTooLong(
            f"the user data is {len(text.encode())} bytes long and EC2 takes {LIMIT}: "
            "shorten the files in infra/instances/host"
        )
    return text


@cache
def _packed(files: tuple[str, ...], units: tuple[str, ...]) -> str:
    """A tar of `files` at /opt/easel and `units` where systemd looks. The same text wherever it is made.

    Once for all endpoints: bzip2 took a quarter of the program's time with a hundred of them.
    """
    placed = [(f"opt/easel/{name}", HOST / name, 0o755) for name in files]
    placed += [(f"etc/systemd/system/{name}", HOST / "units" / name, 0o644) for name in units]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source, mode in placed:
            content = bare(name, source.read_text()).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(bz2.compress(buffer.getvalue(), 9)).decode()


def bare(name: str, text: str) -> str:
    """A file of `host/` without what only its readers here need: whole lines of comment, docstrings."""
    lines = text.splitlines(keepends=True)
    told = _docstrings(text) if name.endswith(".py") else set()
    return "".join(
        line
        for number, line in enumerate(lines, 1)
        if number not in told and (line.startswith("#!") or not line.lstrip().startswith("#"))
    )


def _docstrings(text: str) -> set[int]:
    """The lines that a module's docstrings are on. A body that has nothing else keeps its own."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if len(node.body) > 1 else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
            found.update(range(first.lineno, first.end_lineno + 1))
    return found
