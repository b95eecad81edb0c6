"""Whether the ports that endpoints need are free, told in one line if not."""

from __future__ import annotations

import socket
import time

from easel.gateway.config import CONSOLE, Config
from easel.gateway.errors import PortTaken


def check(config: Config, *, patience: float = 2.0) -> None:
    """Raises PortTaken naming port, endpoint and, if it can be seen, the program that has it.

    Waits up to `patience` seconds: the Caddy of a gateway that was killed a moment ago is still on its way
    out.
    """
    deadline = time.monotonic() + patience
    for port, name in sorted(config.ports().items()):
        while not free(port, config.team.bind):
            if time.monotonic() > deadline:
                raise PortTaken(_taken(port, name))
            time.sleep(0.1)


def free(port: int, bind: str) -> bool:
    """Whether somebody could listen on `bind`:`port` now."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as trial:
        # As Caddy does: a connection that lingers from before is not a listener.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError:
            return False
        return True


def _taken(port: int, name: str) -> str:
    whose = "the console" if name == CONSOLE else f"endpoint {name}"
    return (
        f"port {port} of {whose} is taken{_by(port)}: end that program, or give {whose} another port "
        "(EASEL_PORT moves the first endpoint; the console is one below it)"
    )


def _by(port: int) -> str:
    # Only needed to say it well; psutil takes a tenth of a second to import.
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = (
                connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            )
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        return ""  # others' processes are not everybody's to see
    return ""
