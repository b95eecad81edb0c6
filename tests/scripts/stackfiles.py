"""Stack files and the `easel` command inside this process, for tests that need it often."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scripts.__main__ import main

ART = """# yaml-language-server: $schema=easel.schema.json
# The artists' own.
config:
  aws:region:   us-east-1   # near the office
  easel:team:
    domain: 'art.example.com'
    runs_on: "instances"

  easel:endpoints:
    # everybody's
    studio:
      shape: gpu.a10 # 24 GB
      replicas: {min: 0,   max: 3}

      # a coffee's length
      idle: 15m
      models:
      - hf://a/sd_xl_base_1.0.safetensors   # the usual one
      # - s3://bucket/other.safetensors
"""
LOCAL = """config:
  easel:team: {runs_on: local}
  easel:endpoints:
    studio: {shape: cpu.small}
"""


class Teams:
    """A folder of stack files; `art` is the one that EASEL_STACK names."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("EASEL_STACK", str(folder / "Pulumi.art.yaml"))

    def file(self, team: str) -> Path:
        """Where a team's stack file is."""
        return self.folder / f"Pulumi.{team}.yaml"

    def write(self, team: str, text: str | bytes) -> Path:
        """A team's stack file of this text, to the byte."""
        file = self.file(team)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def text(self, team: str = "art") -> str:
        """What a team's file holds, with its line ends."""
        return self.file(team).read_bytes().decode()


def easel(*arguments: str) -> Result:
    """One command, as a program runs it: no terminal."""
    return CliRunner().invoke(main, list(arguments))


def done(*arguments: str) -> str:
    """What a command says that must succeed."""
    result = easel(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    """What a command says that must be refused before anything is done."""
    result = easel(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    return result.output
