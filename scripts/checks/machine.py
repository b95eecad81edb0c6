"""What this machine has, check by check. Each says what was seen and, where it falls short, what to do."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.check import Check
from scripts.local import ports
from scripts.settings import CommandRefused, Settings, shown

GIB = 2**30
LEAST_CADDY = (2, 11, 7)
"""Earlier 2.10 and 2.11 let forged identity headers through."""


def checks(here: Settings) -> Iterator[Check]:
    """Look at everything."""
    yield python()
    yield packages()
    yield memory()
    yield disk(here)
    yield caddy()
    yield gpu()
    yield stack(here)
    yield from compiler(here)
    yield from listening(here)
    yield models(here)


def python() -> Check:
    """The Python that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check(
        "python", "ok" if fits else "failed", version, "" if fits else "take Python 3.11, 3.12 or 3.13"
    )


def packages() -> Check:
    """What studio and gateway import; looked up, not imported."""
    wanted = ("torch", "diffusers", "transformers", "fastapi", "uvicorn", "safetensors")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        return Check(
            "packages", "failed", f"missing: {', '.join(missing)}", "run `make up`, which installs them"
        )
    return Check("packages", "ok", "all there")


def memory(table: Path = Path("/proc/meminfo")) -> Check:
    """Main memory that is free to use."""
    try:
        rows = dict(re.findall(r"^(\w+):\s+(\d+) kB", table.read_text(), re.MULTILINE))
        free, total = int(rows["MemAvailable"]) * 1024, int(rows["MemTotal"]) * 1024
    except (OSError, KeyError):
        return Check(
            "memory", "warning", "not known on this system", "the starter needs 2 GiB, SD 1.5 needs 6"
        )
    seen = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    return _room(
        "memory", seen, free, (2, "a studio with the starter needs 2 GiB: end something"),
        (6, "enough for the starter; SD 1.5 on the CPU needs 6 GiB"),
    )  # fmt: skip


def disk(here: Settings) -> Check:
    """Space where data goes."""
    folder = next(path for path in (here.home, *here.home.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    seen = f"{free / GIB:.0f} GiB free at {shown(folder)}"
    return _room(
        "disk", seen, free, (1, "make room, or set EASEL_HOME to a folder on another disk"),
        (10, "one SDXL checkpoint takes 7 GB"),
    )  # fmt: skip


def caddy() -> Check:
    """The program that carries the bytes."""
    found = shutil.which("caddy") or shutil.which("caddy", path=str(Path(sys.executable).parent))
    if not found:
        return Check("caddy", "failed", "not found", "run `make up`, which installs it")
    told = _told([found, "version"])
    version = re.match(r"v?(\d+)\.(\d+)\.(\d+)", told or "")
    if not version:
        return Check("caddy", "failed", f"{found} does not start", "reinstall it, or take it off PATH")
    if tuple(map(int, version.groups())) < LEAST_CADDY:
        wants = ".".join(map(str, LEAST_CADDY))
        return Check(
            "caddy", "failed", f"{version[0]} at {found}", f"take {wants} or newer, or take it off PATH"
        )
    return Check("caddy", "ok", version[0])


def gpu() -> Check:
    """The GPUs that NVIDIA's driver shows."""
    if not shutil.which("nvidia-smi"):
        return Check("gpu", "ok", "none: pictures are drawn on the CPU")
    told = _told(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    if not told:
        return Check(
            "gpu", "warning", "there is nvidia-smi, but it finds no GPU", "check the driver: nvidia-smi"
        )
    return Check("gpu", "ok", "; ".join(told.splitlines()))


def stack(here: Settings) -> Check:
    """The stack file."""
    from infra.neighbours import clashes
    from scripts.stacks.loading import spec_at

    try:
        spec = spec_at(here.stack)
    except CommandRefused as refusal:
        return Check(
            "stack", "failed", refusal.message, "put it right; docs/reference/spec.md names every field"
        )
    seen = f"{shown(here.stack)}: {', '.join(spec.endpoints) or 'no endpoints'}"
    if told := clashes(spec, here.stack.parent):
        return Check("stack", "failed", seen, "; ".join(told))
    return Check("stack", "ok", seen)


def compiler(here: Settings) -> Iterator[Check]:
    """What compiles blocks, where an endpoint on this machine says `compile: true`."""
    from scripts.stacks.loading import spec_at

    try:
        spec = spec_at(here.stack)
    except CommandRefused:
        return  # `stack` says so
    asking = [name for name, one in spec.endpoints.items() if one.compile]
    if asking and spec.team.runs_on == "local":
        from easel.studio.engine import missing_compiler

        lacks = missing_compiler("cuda" if shutil.which("nvidia-smi") else "cpu")
        names = ", ".join(asking)
        if lacks:
            advice = "without it they are drawn as without `compile: true`"
            yield Check("compiler", "warning", f"{lacks}; for {names}", advice)
        else:
            yield Check("compiler", "ok", f"there, for {names}")


def listening(here: Settings) -> Iterator[Check]:
    """The console's port and the first endpoint's."""
    from scripts.remote.transport import running

    for what, port in (("console", here.console_port), ("first endpoint", here.port)):
        if ports.is_free(port):
            yield Check("port", "ok", f"{port} for the {what} is free")
        elif running(here.home):
            yield Check("port", "ok", f"{port} for the {what} is in use, and easel runs")
        else:
            yield Check("port", "failed", f"{port} for the {what} is taken", "set EASEL_PORT to another")


def models(here: Settings) -> Check:
    """Checkpoints in the folder."""
    from easel.models import walk

    folder = here.home / "models" / "Stable-diffusion"
    if not folder.is_dir():
        return Check("models", "ok", "no folder yet: the first `make up` makes it, with the starter in it")
    names = sorted(name for _, _, names in walk(folder, follow=True) for name in names)
    found = [name for name in names if name.endswith(".safetensors")]
    pickles = [name for name in names if name.endswith((".ckpt", ".pt", ".pth"))]
    if pickles:
        advice = "pickles are not opened, as they can run code: take the .safetensors of each"
        return Check("models", "warning", f"{len(found)} checkpoints; not used: {', '.join(pickles)}", advice)
    if not found:
        return Check("models", "warning", f"no checkpoint in {shown(folder)}", "put a .safetensors there")
    return Check("models", "ok", f"{len(found)} in {shown(folder)}: {', '.join(found[:5])}")


def _room(what: str, seen: str, free: int, needed: tuple[int, str], wanted: tuple[int, str]) -> Check:
    """Bytes that are free, against the GiB needed and the GiB wanted, each with what to do about less."""
    if free < needed[0] * GIB:
        return Check(what, "failed", seen, needed[1])
    if free < wanted[0] * GIB:
        return Check(what, "warning", seen, wanted[1])
    return Check(what, "ok", seen)


def _told(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
