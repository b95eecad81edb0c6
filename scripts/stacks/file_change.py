"""A stack file as it would be: checked by the loader that everything uses, shown as a diff, then written."""

import contextlib
import difflib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from infra.faults import SpecError, SpecFault
from infra.faults import shown as quoted
from infra.names import team_name
from infra.spec import Spec
from infra.stackfile import load_stack
from scripts.settings import CommandRefused, shown


@dataclass(frozen=True)
class FileChange:
    """What a stack file of this team would hold."""

    team: str
    file: Path
    before: bytes | None
    """What it holds now; None where it is not there yet."""
    after: str

    def spec(self) -> Spec:
        """The spec it would be. Raises CommandRefused with every fault, a bad team's name among them."""
        # A bad name may hold anything; what is printed is one line a fault.
        name = "".join(letter if letter.isprintable() else "?" for letter in shown(self.file))
        told = [f"{name}: {fault.problem}" for fault in name_faults(self.team)]
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"Pulumi.{'team' if told else self.team}.yaml"
            copy.write_bytes(self.after.encode())
            try:
                spec = load_stack(copy, name)
            except SpecError as error:
                told += str(error).splitlines()
        if told:
            raise CommandRefused("\n".join(("nothing is written, as this would not be right:", *told)))
        return spec

    def diff(self) -> str:
        """The unified diff, coloured; click takes the colours off where nobody sees them."""
        old, new = (_lines(text) for text in ((self.before or b"").decode(), self.after))
        name = shown(self.file).lstrip("/")
        found = difflib.unified_diff(old, new, f"a/{name}" if old else "/dev/null", f"b/{name}", lineterm="")
        return "\n".join(_coloured(line) for line in found)

    def write(self) -> None:
        """Write it whole or not at all. Raises CommandRefused where the file is no longer as it was read."""
        file = Path(os.path.realpath(self.file))  # a link stays one
        try:
            now = file.read_bytes() if file.exists() else None
            if now != self.before:
                raise CommandRefused(
                    f"{shown(self.file)} was changed by someone meanwhile: run the command again"
                )
            handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
            try:
                with os.fdopen(handle, "wb") as content:
                    content.write(self.after.encode())
                    os.fchmod(content.fileno(), file.stat().st_mode & 0o7777 if now is not None else 0o644)
                os.replace(part, file)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
                raise
        except OSError as error:
            raise CommandRefused(
                f"{shown(self.file)}: cannot be written: {(error.strerror or '').lower()}"
            ) from None


def name_faults(team: str) -> list[SpecFault]:
    """What is wrong with a team's name, in the loader's words."""
    try:
        team_name(team)
    except ValueError as error:
        return [SpecFault((), f"the stack's name {quoted(team)} {error}")]
    return []


def config_of(text: str) -> dict[str, Any]:
    """The `config` of a stack file's text, with anchors followed. For a text that the loader took."""
    found: dict[str, Any] = yaml.safe_load(text)["config"]
    return found


def _lines(text: str) -> list[str]:
    # Not splitlines, to which a form feed is a line's end; a file's last line end is no line.
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def _coloured(line: str) -> str:
    line = line.removesuffix("\r")
    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=colour) if colour and line[:3] not in ("+++", "---") else line
