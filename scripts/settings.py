"""Where data, ports and the stack file are: from the environment, checked once, in one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""


class CommandRefused(click.ClickException):
    """What was asked for cannot be done: one clear line, exit 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the line."""
        click.echo(click.style("easel: ", fg="red", bold=True) + self.format_message(), err=True)


class CommandFailed(CommandRefused):
    """It was tried and failed: one clear line, exit 1."""

    exit_code = 1


@dataclass(frozen=True)
class Settings:
    """EASEL_HOME, EASEL_PORT and EASEL_STACK."""

    home: Path
    port: int
    stack: Path

    @property
    def console_port(self) -> int:
        """The console is one below the first endpoint."""
        return self.port - 1


def settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises CommandRefused."""
    home = _path(environment.get("EASEL_HOME") or str(ROOT / ".easel"))
    return Settings(
        home,
        _port(environment.get("EASEL_PORT") or "7860"),
        _stack(environment.get("EASEL_STACK") or "local"),
    )


def shown(path: Path) -> str:
    """A path as people would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _port(text: str) -> int:
    # The console's port is one below; ports under 1024 are the system's.
    if not (text.isascii() and text.isdigit() and 1025 <= int(text) <= 65535):
        raise CommandRefused(f"EASEL_PORT is {text!r}: it must be a port from 1025 to 65535")
    return int(text)


def _stack(text: str) -> Path:
    if "/" in text or text.endswith((".yaml", ".yml")):
        return _path(text)
    return ROOT / "stacks" / f"Pulumi.{text}.yaml"


def _path(text: str) -> Path:
    # Path.expanduser raises for ~user whom nobody knows; then it is a name like any other.
    return Path(os.path.expanduser(text)).absolute()
