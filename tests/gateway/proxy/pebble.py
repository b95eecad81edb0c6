"""Pebble, the ACME test server of Let's Encrypt: a real authority on this machine, with names of its own.

It is built once by Go, into `.easel/tools`, and asks whoever it gives a certificate on the ports that the
tests choose. Every name resolves to 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
from pathlib import Path

import filelock
import httpx

from tests.certificates import self_signed
from tests.gateway.conftest import until
from tests.ports import free_port

VERSION = "v2.10.1"
TOOLS = Path(__file__).parents[3] / ".easel" / "tools"
_PROGRAMS = ("pebble", "pebble-challtestsrv")


def go() -> str | None:
    """The Go compiler, if there is one."""
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


def built() -> Path:
    """The folder with Pebble's programs, built if they are not there yet (under a minute)."""
    folder = TOOLS / f"pebble-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if not all((folder / name).exists() for name in _PROGRAMS):
            compiler = go()
            assert compiler
            modules = [f"github.com/letsencrypt/pebble/v2/cmd/{name}@{VERSION}" for name in _PROGRAMS]
            environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
            done = subprocess.run([compiler, "install", *modules], env=environment, capture_output=True)
            assert done.returncode == 0, done.stderr.decode()
    return folder


class Pebble:
    """A running authority. `http_port` and `https_port` are where it looks for the answers it asks for;
    without `https_asked`, it never reaches the second."""

    def __init__(self, folder: Path, *, https_asked: bool = True) -> None:
        self.folder = folder
        folder.mkdir()
        self.http_port, self.https_port = free_port(), free_port()
        self._port, self._management, self._dns = free_port(), free_port(), free_port()
        self.root = folder / "directory.pem"
        self_signed(self.root, folder / "directory.key")
        settings = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(self.root),
            "privateKey": str(folder / "directory.key"),
            "httpPort": self.http_port,
            "tlsPort": self.https_port if https_asked else free_port(),
            "profiles": {"default": {"description": "a day", "validityPeriod": 86400}},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self._port}/dir"

    def start(self) -> Pebble:
        programs = built()
        off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
        names = ["-dnsserver", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{free_port()}"]
        resolver = [*names, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", *off]
        authority = ["-config", str(self.folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{self._dns}"]
        for name, arguments in (("pebble-challtestsrv", resolver), ("pebble", authority)):
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [str(programs / name), *arguments],
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"},
                    )
                )
        try:
            until(self._answers, what="Pebble answers")
        except BaseException:
            self.stop()
            raise
        return self

    def _answers(self) -> bool:
        assert all(process.poll() is None for process in self._processes), self.log()
        try:
            return self._get(self.directory).status_code == 200
        except httpx.TransportError:
            return False

    def _get(self, url: str) -> httpx.Response:
        return httpx.get(url, verify=ssl.create_default_context(cafile=str(self.root)), trust_env=False)

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        self._processes.clear()

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def issued(self) -> int:
        """How many certificates it has given."""
        return (self.folder / "pebble.log").read_text().count("Issued certificate serial")

    def trusted(self) -> Path:
        """A file with the root that its certificates come from: a new one at each of its starts."""
        path = self.folder / "root.pem"
        path.write_text(self._get(f"https://127.0.0.1:{self._management}/roots/0").text)
        return path
