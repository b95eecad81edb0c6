"""`python -m easel.gateway --home DIR`: run the door."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from easel.gateway.config import Endpoint
from easel.gateway.errors import GatewayError
from easel.gateway.slot import Command


@click.command()
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=".easel",
    envvar="EASEL_HOME",
    help="EASEL_HOME: configuration, tokens, logs.",
)
@click.option(
    "--replica",
    metavar="COMMAND",
    help="Run COMMAND instead of the studio; {port}, {home} and {endpoint} are filled in.",
)
def main(home: Path, replica: str | None) -> None:
    """Serve the endpoints of a team until SIGTERM."""
    from easel.gateway.gateway import Gateway
    from easel.gateway.logs import configure

    try:
        home.joinpath("logs").mkdir(parents=True, exist_ok=True)
        configure(home / "logs" / "gateway.log")
        asyncio.run(Gateway(home, _command(home, replica) if replica else None).run())
    except GatewayError as error:
        click.echo(f"easel.gateway: {error}", err=True)
        sys.exit(error.exit_code)


def _command(home: Path, template: str) -> Command:
    words = shlex.split(template)

    def command(endpoint: Endpoint, port: int) -> Sequence[str]:
        values = {"{port}": str(port), "{home}": str(home.resolve()), "{endpoint}": endpoint.name}
        filled = []
        for word in words:
            for name, value in values.items():
                word = word.replace(name, value)
            filled.append(word)
        return filled

    return command


if __name__ == "__main__":
    main()
