"""Which gateway a command speaks to: the one on this machine, or one far away through its console's door."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from scripts.remote.operator_api import OperatorClient
from scripts.remote.transport import LocalTransport, RemoteTransport
from scripts.settings import ROOT, CommandRefused, Settings, settings, shown

_STACK_FILE = re.compile(r"Pulumi\.(.+)\.ya?ml")
# Only a stack that says so runs on this machine. Looked for, not read: reading takes as long as all the rest.
_LOCAL = re.compile(r"""^[^#\n]*\bruns_on["']?\s*:\s*["']?local\b""", re.MULTILINE)


@dataclass(frozen=True)
class GatewayTarget:
    """Where the gateway is that was asked for: `console` and `token` as given, None if not."""

    console: str | None
    token: str | None

    def remote(self, here: Settings) -> RemoteTransport | None:
        """The way to a gateway elsewhere, None for the one on this machine. Raises CommandRefused."""
        if self.console:
            return RemoteTransport(self.console, self.token)
        if not _runs_elsewhere(here):
            return None
        return RemoteTransport(_console_of(here), self.token)

    def client(self) -> OperatorClient:
        """What asks the gateway. Raises CommandRefused."""
        here = settings()
        return OperatorClient(self.remote(here) or LocalTransport(here.home))


def with_gateway(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--console` and `--token`; it gets a `gateway`."""

    @click.option(
        "--console", envvar="EASEL_CONSOLE", help="A gateway elsewhere: its console's address, or its link."
    )
    @click.option(
        "--token", envvar="EASEL_TOKEN", help="The token for it; best as EASEL_TOKEN, which no one else sees."
    )
    @functools.wraps(function)
    def wrapped(*arguments: Any, console: str | None, token: str | None, **rest: Any) -> Any:
        return function(*arguments, gateway=GatewayTarget(console or None, token or None), **rest)

    return wrapped


def _runs_elsewhere(here: Settings) -> bool:
    try:
        return not _LOCAL.search(here.stack.read_text())
    except (OSError, UnicodeDecodeError):
        return False


def _console_of(here: Settings) -> str:
    """The console's link, from what `pulumi up` said of the stack."""
    name = _STACK_FILE.fullmatch(here.stack.name)
    pulumi = shutil.which("pulumi")
    otherwise = "set EASEL_CONSOLE to its console's link"
    if not (name and pulumi):
        raise CommandRefused(
            f"{shown(here.stack)} does not run on this machine: {otherwise}, or install pulumi"
        )
    asked = ["stack", "output", "console", "--json", "--show-secrets", "--stack", name[1]]
    try:
        done = subprocess.run(
            [pulumi, *asked, "--non-interactive"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
        return str(json.loads(done.stdout)["link"])
    except subprocess.CalledProcessError as error:
        why = next(iter(reversed(error.stderr.strip().splitlines())), f"it ended with {error.returncode}")
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        why = str(error)
    raise CommandRefused(f"pulumi does not say where the console of {name[1]} is ({why}): {otherwise}")
