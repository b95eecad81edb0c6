"""`easel clone`: one endpoint more, as another one is."""

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from infra.faults import nearest
from infra.spec import Spec
from scripts.commands.cost import difference
from scripts.settings import CommandRefused, settings, shown
from scripts.stacks import editing
from scripts.stacks.file_change import FileChange, config_of
from scripts.stacks.loading import spec_at
from scripts.stacks.teams import Address, address, existing, team_of
from scripts.stacks.yaml_text import parse

ENDPOINTS = editing.ENDPOINTS


@click.command("clone")
@click.argument("source", metavar="TEAM/NAME")
@click.argument("target", metavar="TEAM/NAME2")
@click.option("--shape", help="Another shape, such as gpu.l40s.")
@click.option("--max", "most", type=int, help="Another limit of replicas.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show the change and write nothing.")
def command(source: str, target: str, shape: str | None, most: int | None, yes: bool, dry_run: bool) -> None:
    """Copy an endpoint within a stack file or into another team's.

    TEAM may be left out: then it is the stack that EASEL_STACK names, and for the second name the team of
    the first. Comments, order and spelling of the file stay as they are. The change and what it costs are
    shown; on a terminal it asks before it writes.
    """
    here = settings()
    old = address(source, team_of(here))
    new = address(target, old.team)
    change, before, after = cloned(
        existing(here, old.team), existing(here, new.team), old, new, shape=shape, most=most
    )
    click.echo(change.diff())
    click.echo()
    for line in difference(before, after, new.endpoint):
        click.echo(line)
    if dry_run:
        click.echo(f"nothing is written; without --dry-run {shown(change.file)} would be")
        return
    if not yes and on_a_terminal() and not click.confirm("Write it?", default=True):
        raise CommandRefused("nothing is written")
    change.write()
    click.echo(f"{shown(change.file)} is written")
    click.echo(next_step(after))


def on_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def cloned(
    origin: Path, goal: Path, old: Address, new: Address, *, shape: str | None = None, most: int | None = None
) -> tuple[FileChange, Spec | None, Spec]:
    """The clone in its file, with the specs before (None where there was none) and after.

    Raises CommandRefused.
    """
    spec = spec_at(origin)
    if old.endpoint not in spec.endpoints:
        names = list(spec.endpoints)
        near = nearest(old.endpoint, names) or (f"; there is {', '.join(names)}" if names else "")
        raise CommandRefused(f"{shown(origin)} has no endpoint {old.endpoint!r}{near}")
    text, own = _text(goal), _text(origin)
    before = spec if goal == origin else _spec_before(goal, text)
    if before and new.endpoint in before.endpoints:
        raise CommandRefused(f"{shown(goal)} has an endpoint {new.endpoint!r} already: take another name")

    now = config_of(own)[ENDPOINTS][old.endpoint]
    wanted: dict[editing.Way, Any] = {}
    if shape is not None:
        wanted["shape",] = shape
    if most is not None:
        wanted["replicas", "max"] = most
    values = copy.deepcopy(now)
    for way, value in wanted.items():
        values[way[0]] = editing.changed(values, way, value)

    raw = goal.read_bytes()
    lines = editing.copied(own, old.endpoint, new.endpoint, wanted, now)
    # The endpoint as it is written, comments and all, if it means the same in its new place; else its values.
    for attempt in (lines, None):
        after = editing.added(text, new.endpoint, attempt, values)
        if _means(text, after, new.endpoint, values):
            change = FileChange(new.team, goal, raw, after)
            return change, before, change.spec()
    raise CommandRefused(
        f"{shown(goal)} is written in a way that easel cannot add to: add {new.endpoint!r} by hand"
    )


def next_step(spec: Spec) -> str:
    """What puts a changed stack file to work."""
    if spec.team.runs_on == "local":
        return "a running `easel up` follows by itself"
    return f"next: pulumi preview --stack {spec.name}, a pull request, or pulumi up --stack {spec.name}"


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise CommandRefused(f"{shown(file)}: cannot be read: {(error.strerror or '').lower()}") from None
    except UnicodeDecodeError as error:
        raise CommandRefused(f"{shown(file)}: is not text in UTF-8 (byte {error.start})") from None


def _spec_before(file: Path, text: str) -> Spec | None:
    """The spec of a file that gets an endpoint; None where it has none yet. Raises CommandRefused."""
    try:
        return spec_at(file)
    except CommandRefused:
        if not _lacks_endpoints(text):
            raise
        return None  # its other faults are told of the file as it would be


def _lacks_endpoints(text: str) -> bool:
    try:
        config = parse(text).entry("config")
    except (yaml.YAMLError, RecursionError):
        return False
    if config is None or config[1].kind != "map":
        return False
    there = config[1].entry(ENDPOINTS)
    return there is None or not (there[1].items or there[1].kind in ("alias", "list"))


def _means(before: str, after: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether a text says what the one before said, and this endpoint, and nothing else."""
    try:
        found, old = yaml.safe_load(after), yaml.safe_load(before)
    except yaml.YAMLError:
        return False
    old["config"][ENDPOINTS] = {**(old["config"].get(ENDPOINTS) or {}), name: values}
    return bool(found == old)
