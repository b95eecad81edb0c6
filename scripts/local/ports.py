"""Are the ports free that the door wants to listen on?"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from scripts.settings import CommandRefused


def is_free(port: int) -> bool:
    """Whether this machine can listen on a port."""
    with socket.socket() as probe:
        # As Caddy does it: connections that linger from before are no obstacle, another listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether the door on a port answers requests, by one that never passes it and so wakes nobody."""
    # Imported once the gateway is starting; checking for free ports before that needs none of it.
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/metrics")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def refuse_taken(wanted: Mapping[str, int]) -> None:
    """Raise CommandRefused if a port is taken, saying which, for what, and by whom where that can be seen."""
    for name, port in wanted.items():
        if port > 65535:
            raise CommandRefused(f"{name} would need port {port}: lower EASEL_PORT")
        if not is_free(port):
            raise CommandRefused(
                f"port {port} for {name} is taken{_by(port)}: stop that, or set EASEL_PORT to another"
            )


def _by(port: int) -> str:
    """` by caddy (process 4711)`, from /proc where there is one and it may be read."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        sockets |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).strip("socket:[]") in sockets:
                process = link.parent.parent
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # somebody else's process, or gone
    return ""
