"""`python -m easel.gateway --home DIR`: run the door."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easel.gateway.errors import GatewayError

if TYPE_CHECKING:
    from easel.gateway.config import Endpoint
    from easel.gateway.replicas.local import Command


def main() -> None:
    """Serve the endpoints of a team until SIGTERM."""
    options = argparse.ArgumentParser("python -m easel.gateway", description=main.__doc__)
    options.add_argument(
        "--home",
        type=Path,
        default=os.environ.get("EASEL_HOME", ".easel"),
        help="EASEL_HOME: configuration, tokens, logs (default: %(default)s)",
    )
    options.add_argument(
        "--replica",
        metavar="COMMAND",
        help="run COMMAND instead of the studio; {port}, {home} and {endpoint} are filled in",
    )
    options.add_argument("--bucket", help="on AWS: the team's configuration bucket; replicas are instances")
    options.add_argument(
        "--region",
        default=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        help="on AWS: the region of bucket and instances (default: $AWS_REGION)",
    )
    options.add_argument(
        "--namespace",
        help="in a cluster: the team's namespace; replicas are pods",
    )
    chosen = options.parse_args()
    if chosen.bucket and not chosen.region:
        options.error("--bucket needs --region")
    if chosen.bucket and chosen.namespace:
        options.error("--bucket is for AWS and --namespace for a cluster: give one")
    # structlog would import it for a terminal's colours: a third of the time until the door is open.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from easel.gateway.assembly import Gateway
    from easel.gateway.deployment import aws_deployment, kubernetes_deployment
    from easel.gateway.logs import configure

    home = Path(chosen.home)
    # What it and all that it starts write is for their owner alone.
    os.umask(0o077)
    try:
        home.joinpath("logs").mkdir(parents=True, exist_ok=True)
        configure(home / "logs" / "gateway.log")
        command = _command(home, chosen.replica) if chosen.replica else None
        elsewhere = aws_deployment(chosen.bucket, chosen.region) if chosen.bucket else None
        if chosen.namespace:
            elsewhere = kubernetes_deployment(chosen.namespace)
        asyncio.run(Gateway(home, command, elsewhere).run())
    except GatewayError as error:
        sys.stderr.write(f"easel.gateway: {error}\n")
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
