"""How `easel up` shows what happens: a live table on a terminal, plain lines everywhere else."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_COLOURS = {
    "ready": "green",
    "failed": "red",
    "asleep": "bright_black",
    "starting": "blue",
    "loading": "blue",
}


def display() -> "PlainDisplay | LiveDisplay":
    """The display that fits standard output."""
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()


class PlainDisplay:
    """Lines: what to know on standard output, logs on standard error, each flushed."""

    def say(self, line: str) -> None:
        """Print a line that stays, to standard output: a link, a state, a time."""
        click.echo(line)
        sys.stdout.flush()

    def log(self, line: str) -> None:
        """Print a line to standard error."""
        click.echo(line, err=True)

    def progress(self, endpoints: list[Mapping[str, Any]], seconds: float) -> None:
        """Say nothing: changes of state are lines of their own."""

    def settled(self) -> None:
        """Everything is where it should be: say nothing."""


class LiveDisplay:
    """A table that lives below the lines for as long as something starts."""

    def __init__(self) -> None:
        # rich takes a tenth of a second to import: the gateway is started before a display is made.
        from rich.console import Console

        self._console = Console(highlight=False)
        self._live: Live | None = None

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self._console.print(line, markup=False, soft_wrap=True)

    def log(self, line: str) -> None:
        """Print a line above the table, quietly."""
        self._console.print(line, markup=False, soft_wrap=True, style="bright_black")

    def progress(self, endpoints: list[Mapping[str, Any]], seconds: float) -> None:
        """Draw the table anew."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        self._live.update(_table(endpoints, seconds))

    def settled(self) -> None:
        """Remove the table."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def detail_of(endpoint: Mapping[str, Any]) -> str:
    """What an endpoint is at, in words: its replicas, or its models while only they move."""
    said = next((str(each["detail"]) for each in endpoint["replicas"] if each.get("detail")), "")
    if endpoint["state"] == "starting" and not endpoint["replicas"]:
        return str(endpoint.get("detail", ""))
    models = endpoint.get("models") or {}
    still = endpoint["state"] in ("ready", "asleep") and models.get("phase") == "fetching"
    return str(models["detail"]) if still else said


def _table(endpoints: list[Mapping[str, Any]], seconds: float) -> "Table":
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for endpoint in endpoints:
        state = str(endpoint["state"])
        fetching = (endpoint.get("models") or {}).get("phase") == "fetching"
        moving = fetching or state in ("starting", "loading", "draining")
        detail = detail_of(endpoint)
        table.add_row(
            Spinner("dots") if moving else Text("●", style=_COLOURS.get(state, "")),
            Text(str(endpoint["name"]), style="bold"),
            Text(state, style=_COLOURS.get(state, "")),
            Text(detail, overflow="ellipsis", no_wrap=True),
            Text(f"{seconds:.0f} s" if moving else "", style="bright_black"),
        )
    return table
