"""`container.py ADDRESS` makes the container `easel`.

The configuration becomes `docker` arguments. Secrets pass through memory (/run is one) and one process's
environment, never through an argument list, which anybody on the host can read. Python 3.9, no library.
"""

import csv
import io
import json
import os
import subprocess
import sys
from typing import Any

RUN = "/run/easel"
# Docker's file of variables holds one line a variable, 64 KiB at most. What does not fit there is handed to
# docker in its own environment, where these would change what docker itself does.
LONGEST_LINE = 32 * 1024
DAY = 24 * 3600
DOCKERS_OWN = ("DOCKER_", "LD_", "PATH", "HOME", "GODEBUG", "HTTP", "NO_PROXY", "http", "no_proxy", "SSL_")
# On this disk, 60 MB at most, whatever a container says; a slow one holds no picture up. journal.py ships it.
LOG = ["--log-driver", "local", "--log-opt", "mode=non-blocking"]
LOG += ["--log-opt", "max-size=20m", "--log-opt", "max-file=3"]
HARDENED = [
    *("--read-only", "--tmpfs", "/tmp:rw,nosuid,nodev,mode=1777"),  # noqa: S108
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
]


def main() -> None:
    """Ends with docker's exit code, or with a sentence on stderr."""
    with open(f"{RUN}/config.json", encoding="utf-8") as text:
        config = json.load(text)
    serve(config, *sys.argv[1:])


def serve(config: dict[str, Any], address: str) -> None:
    """Make the container that answers on `address`. It is not started."""
    what = config["container"]
    port = int(what["port"])
    words = ["create", "--name", "easel", "--publish", f"{address}:{port}:{port}", *LOG]
    words += ["--gpus", "all"] if what.get("gpu") else []
    user = what.get("user")
    if what.get("load") == "easel":
        with open(f"{RUN}/cache", encoding="utf-8") as text:
            cache = text.read().strip()
        words += [*HARDENED, "--user", f"{user or 1000}:{user or 1000}"]
        words += mount("/mnt/easel/models", "/easel/models") + mount(cache, "/cache")
        words += mount("/mnt/easel/outputs", f"/easel/outputs/{config['name']}")
        command = ["python", "-m", "easel.studio", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
        command += ["--home", "/easel", "--endpoint", config["name"]]
        storage = config.get("storage") or {}
        # Pictures that nobody keeps are on the replica's own disk: for a day, so that a page can show them.
        kept = storage.get("retention") if storage.get("outputs") else DAY
        command += ["--retention", str(kept)] if kept else []
        # Who asks is what the gateway vouches for, by these keys; how far it is, the host asks by itself.
        words += mount(f"{RUN}/keys", "/easel/keys", read_only=True)
        known_by = {
            "EASEL_ASSERTION_KEYS": "/easel/keys/keys.json",
            "EASEL_ASSERTION_AUDIENCE": config["name"],
            "EASEL_ASSERTION_OPEN": "/easel/load /internal/ping",
        }
        defaults = {"HOME": "/tmp", "EASEL_CACHE": "/cache"}  # noqa: S108
        docker(words, config, what.get("command") or command, defaults, known_by)
        return
    # An own container may write to its root and have Docker's usual rights inside: images expect it.
    words += ["--security-opt", "no-new-privileges"] + (["--user", str(user)] if user is not None else [])
    for each in what.get("mounts") or []:
        words += mount(f"/mnt/easel/{each['source']}", each["path"], bool(each.get("read_only")))
    docker(words, config, what.get("command") or [], {}, {})


def mount(source: str, target: str, read_only: bool = False) -> list[str]:
    """A folder of the host in the container. Docker reads the fields as a line of CSV."""
    line = io.StringIO()
    fields = ["type=bind", f"source={source}", f"target={target}"] + ["readonly"] * read_only
    csv.writer(line, lineterminator="").writerow(fields)
    return ["--mount", line.getvalue()]


def variables(config: dict[str, Any], defaults: dict[str, str]) -> dict[str, str]:
    """The container's environment: secrets win over `env`, which wins over easel's own."""
    what = config["container"]
    given = {**defaults, **(config.get("env") or {}), **(what.get("env") or {})}
    for name, arn in (what.get("secrets") or {}).items():
        answer = subprocess.run(
            [sys.executable, "-I", "/opt/easel/secret.py", arn], stdout=subprocess.PIPE, check=False
        )
        if answer.returncode:
            sys.exit(answer.returncode)  # it has said why
        given[name] = answer.stdout.decode()
    return given


def docker(
    words: list[str],
    config: dict[str, Any],
    command: list[str],
    defaults: dict[str, str],
    own: dict[str, str],
) -> None:
    """Call docker; end with its exit code. No variable of the configuration comes in the place of `own`."""
    lines, passed = [], {}
    for name, value in {**variables(config, defaults), **own}.items():
        if "\0" in value:
            sys.exit(f"the value of {name} holds a zero byte, which no environment can")
        if "\n" not in value and "\r" not in value and len(value.encode()) < LONGEST_LINE:
            lines.append(f"{name}={value}\n")
        elif name.startswith(DOCKERS_OWN):
            sys.exit(f"the value of {name} has several lines or is too long, which {name} cannot be")
        else:
            passed[name] = value
            words += ["--env", name]
    file = f"{RUN}/env"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.writelines(lines)
    words += ["--pull", "never", "--env-file", file, config["container"]["image"], *command]
    try:
        sys.exit(subprocess.run(["docker", *words], env={**os.environ, **passed}, check=False).returncode)
    finally:
        os.unlink(file)


main()
