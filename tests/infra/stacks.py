"""Stack files for tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.faults import SpecError
from infra.spec import Spec
from infra.stackfile import load_stack

TEAM = {"runs_on": "instances", "domain": "art.example.com"}


def written(folder: Path, text: str | bytes, name: str = "Pulumi.art.yaml") -> Path:
    """A stack file of this text."""
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def stack(folder: Path, endpoints: Any, team: Any = TEAM) -> Spec:
    """The spec of a stack file with these endpoints."""
    config = {"easel:team": team, "easel:endpoints": endpoints}
    return load_stack(written(folder, yaml.safe_dump({"config": config}, sort_keys=False)))


def faults(folder: Path, endpoints: Any, team: Any = TEAM) -> list[str]:
    """The faults that a stack file with these endpoints is refused for."""
    with pytest.raises(SpecError) as error:
        stack(folder, endpoints, team)
    prefix = f"{folder / 'Pulumi.art.yaml'}:"
    lines = str(error.value).splitlines()
    assert all(line.startswith(prefix) for line in lines), "each fault names its file"
    return [line.removeprefix(prefix).split(": ", 1)[1] for line in lines]
