"""Teams and endpoints as the commands name them: `art`, `art/studio`, `studio`."""

import re
from dataclasses import dataclass
from pathlib import Path

from infra.faults import nearest
from scripts.settings import CommandRefused, Settings, shown
from scripts.stacks.file_change import name_faults


@dataclass(frozen=True)
class Address:
    """An endpoint of a team."""

    team: str
    endpoint: str


def address(text: str, team: str) -> Address:
    """Read `TEAM/NAME`, or `NAME` of this team. Raises CommandRefused."""
    parts = text.split("/")
    if len(parts) > 2 or not all(parts):
        raise CommandRefused(
            f"{text!r} names no endpoint: write TEAM/NAME, such as art/studio, or NAME alone"
        )
    return Address(parts[0] if len(parts) == 2 else team, parts[-1])


def team_of(here: Settings) -> str:
    """The team of the stack that EASEL_STACK names."""
    return re.sub(r"^Pulumi\.", "", here.stack.name.removesuffix(here.stack.suffix))


def stack_file(here: Settings, team: str) -> Path:
    """A team's stack file, beside the one that EASEL_STACK names. Raises CommandRefused for a bad name."""
    if team == team_of(here):
        return here.stack
    faults = name_faults(team)
    if faults:
        raise CommandRefused(faults[0].problem)  # a name that is no name does not become a path
    return here.stack.parent / f"Pulumi.{team}.yaml"


def existing(here: Settings, team: str) -> Path:
    """A team's stack file, which must be there. Raises CommandRefused."""
    file = stack_file(here, team)
    if not file.is_file():
        teams = [re.sub(r"^Pulumi\.|\.yaml$", "", other.name) for other in file.parent.glob("Pulumi.*.yaml")]
        near = nearest(team, teams) or f": `easel new {team}` makes it"
        raise CommandRefused(f"there is no {shown(file)}{near}")
    return file
