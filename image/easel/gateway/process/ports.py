"""Ports of this machine: those that endpoints need are free or told of in one line; others are found."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Mapping

from easel.gateway.config import CONSOLE
from easel.gateway.errors import PortTaken


def check_ports(wanted: Mapping[int, str], bind: str, *, patience: float = 2.0) -> None:
    """Raises PortTaken naming port, whose it is and, if it can be seen, the program that has it.

    Waits up to `patience` seconds: the Caddy of a gateway that was killed a moment ago is still on its way
    out.
    """
    deadline = time.monotonic() + patience
    for port, name in sorted(wanted.items()):
        while not is_free(port, bind):
            if time.monotonic() > deadline:
                raise PortTaken(_refused(port, bind) or _taken(port, name))
            time.sleep(0.1)


def is_free(port: int, bind: str) -> bool:
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


def find_port(bind: str = "127.0.0.1", *, neighbours: int = 0) -> int:
    """A port that nobody listens on, and nobody on so many below it.

    From below the range that the kernel hands out by itself (from 32768 on Linux, 49152 on macOS): a port of
    that range may be an outgoing connection's before a program that takes seconds to start listens on it.
    """
    for port in random.sample(range(20_000, 32_768), 1_000):
        if all(is_free(each, bind) for each in range(port - neighbours, port + 1)):
            return port
    raise PortTaken("of 1,000 ports between 20000 and 32767, none is free: see who listens with `ss -ltnp`")


def _refused(port: int, bind: str) -> str | None:
    """Why the system lets nobody like us listen there, if that is the reason."""
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as trial:
        try:
            trial.bind((bind, port))
        except PermissionError:
            return (
                f"port {port} is the system's: give the gateway the capability CAP_NET_BIND_SERVICE, "
                "or lower net.ipv4.ip_unprivileged_port_start"
            )
        except OSError:
            return None
    return None


def _taken(port: int, name: str) -> str:
    whose = {CONSOLE: "the console", "plain HTTP": "plain HTTP"}.get(name, f"endpoint {name}")
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
