"""`python -m easel.models sync --config ENDPOINT.json --store DIR`: for containers and hosts, without torch.

Prints one line for each model and a line of progress every few seconds, for logs; with `--json` every line is
an object, for the program that reads them. Ends with 0 only when every listed model is whole; 1 if one
failed; 2 for a configuration that cannot be read; 130 when stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import click
import structlog

from easel.models.errors import ModelError
from easel.models.fetch.progress import FetchProgress, Phase
from easel.models.fetch.transfer import FetchLimits
from easel.models.intake.add import Intake
from easel.models.intake.sync import Outcome, Synced, listed, sync
from easel.models.quota import quota_in
from easel.models.source_errors import BadAddress, Interrupted
from easel.models.sources.addresses import secrets_of
from easel.models.store import Store
from easel.remark import Remark, as_json, remark, said_by

_LINE_EVERY = 5.0
_RECORD_EVERY = 1.0
# What the gateway itself does comes first on its small machine.
_NICE = 10


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
@click.option("--json", "as_json", is_flag=True, help="Every line a JSON object, for a program that reads.")
@click.option("--background", is_flag=True, help="Give way to whatever else the machine does.")
def sync_command(
    configs: tuple[Path, ...], folder: Path, prune: bool, bandwidth: float, as_json: bool, background: bool
) -> None:
    """Bring in what the configurations list under `models`."""
    os.umask(0o077)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if background:
        os.nice(_NICE)
    voice = _Records(stop) if as_json else _Lines()
    try:
        addresses = [address for config in configs for address in listed(config)]
        secrets = secrets_of()
    except BadAddress as error:
        voice.refused(said_by(error))
        sys.exit(2)
    store = Store(folder, hashing=False)
    quotas = [quota for config in configs if (quota := quota_in(config)) is not None]
    intake = Intake(
        store,
        secrets=secrets,
        quota=min(quotas, default=None),
        limits=FetchLimits(bandwidth=bandwidth),
        watcher=voice.watch,
        stopped=stop.is_set,
    )
    try:
        done = sync(store, addresses, intake, prune=prune, told=voice.tell)
    except Interrupted as error:
        voice.refused(said_by(error))
        sys.exit(130)
    except ModelError as error:
        voice.refused(said_by(error))
        sys.exit(1)
    except OSError as error:
        words = "the store {folder} cannot be used: {why}"
        voice.refused(remark("store_unusable", words, folder=str(folder), why=str(error.strerror or error)))
        sys.exit(1)
    voice.end(done)
    sys.exit(1 if done.failed else 0)


class _Lines:
    """Lines for people, of progress seldom enough for a log."""

    def __init__(self) -> None:
        self._next = 0.0

    def watch(self, progress: FetchProgress) -> None:
        """A model is on its way: print a line if it is time for one."""
        if progress.phase in (Phase.FETCHING, Phase.WAITING) and time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY
            click.echo(f"{progress.name}: {progress.words}")
            sys.stdout.flush()

    def tell(self, outcome: Outcome) -> None:
        """Print what became of a model."""
        click.echo(str(outcome))

    def refused(self, why: str) -> None:
        """Print why nothing goes on, for whoever reads the errors."""
        click.echo(f"easel: {why}", err=True)

    def end(self, done: Synced) -> None:
        """All was tried: print the sum."""
        click.echo(f"{len(done.added)} came, {len(done.there)} were there, {len(done.failed)} failed")


class _Records:
    """Lines for the gateway: docs/reference/models.md names their fields."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._next = 0.0
        self._last: tuple[str, Phase] | None = None
        # Standard output is the records' alone.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    def watch(self, progress: FetchProgress) -> None:
        """Say how far it is: once a second, and whenever something else begins."""
        now = (progress.name, progress.phase)
        if now == self._last and time.monotonic() < self._next:
            return
        self._last, self._next = now, time.monotonic() + _RECORD_EVERY
        self._say(
            file=progress.name, phase=str(progress.phase), done=progress.done, total=progress.total,
            speed=round(progress.speed), left=None if progress.left is None else round(progress.left),
        )  # fmt: skip

    def tell(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self._say(result=outcome.what, name=outcome.name, why=outcome.why, **_coded(outcome.why))

    def refused(self, why: str) -> None:
        """Say why."""
        self._say(refused=why, **_coded(why))

    def end(self, done: Synced) -> None:
        """Say the sum."""
        self._say(came=len(done.added), there=len(done.there), failed=len(done.failed))

    def _say(self, **record: object) -> None:
        try:
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # Who listened is gone; what has come is kept for the next one.
            self._stop.set()
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end of the process


def _coded(why: str) -> dict[str, object]:
    """A reason by its code, for a gateway that says it in another language."""
    return {"said": as_json(why)} if isinstance(why, Remark) else {}


if __name__ == "__main__":
    main()
