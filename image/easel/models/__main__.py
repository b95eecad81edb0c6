"""`python -m easel.models sync --config ENDPOINT.json --store DIR`: for containers and hosts, without torch.

Prints one line for each model and a line of progress every few seconds, for logs. Ends with 0 only when every
listed model is whole; 1 if one failed; 2 for a configuration that cannot be read; 130 when stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import click

from easel.models.errors import ModelError
from easel.models.fetch.transfer import Effort
from easel.models.intake import Intake, Phase, Progress, listed, sync
from easel.models.source_errors import BadAddress, Interrupted
from easel.models.sources import secrets_of
from easel.models.store import Store

_LINE_EVERY = 5.0


@click.group()
def main() -> None:
    """The model store of a host."""


@main.command("sync")
@click.option(
    "--config",
    "configs",
    required=True,
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="An endpoint's configuration; may be given several times.",
)
@click.option(
    "--store", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The store."
)
@click.option("--prune", is_flag=True, help="Remove models that none of the configurations lists.")
@click.option("--bandwidth", type=float, default=0.0, help="At most so many bytes a second; 0 is no limit.")
def sync_command(configs: tuple[Path, ...], folder: Path, prune: bool, bandwidth: float) -> None:
    """Bring in what the configurations list under `models`."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        addresses = [address for config in configs for address in listed(config)]
        secrets = secrets_of()
    except BadAddress as error:
        click.echo(f"easel: {error}", err=True)
        sys.exit(2)
    store = Store(folder, hashing=False)
    intake = Intake(
        store, secrets=secrets, effort=Effort(bandwidth=bandwidth), watcher=_Lines(), stopped=stop.is_set
    )
    try:
        done = sync(store, addresses, intake, prune=prune, told=click.echo)
    except Interrupted as error:
        click.echo(f"easel: {error}", err=True)
        sys.exit(130)
    except ModelError as error:
        click.echo(f"easel: {error}", err=True)
        sys.exit(1)
    click.echo(f"{len(done.added)} came, {len(done.there)} were there, {len(done.failed)} failed")
    sys.exit(1 if done.failed else 0)


class _Lines:
    """Progress as lines, seldom enough for a log."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        if progress.phase in (Phase.FETCHING, Phase.WAITING) and time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY
            click.echo(f"{progress.name}: {progress.words}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
