"""Downloads in real processes that are killed at random, against a server that cuts, lies and truncates."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.models.serving import Manners, Serving, model_bytes, sha256

MB = 1 << 20
WHOLE, REASON = 0, 3
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["easel.models", "tests.models.faults"])


def child(root: str, address: str, digest: str, machine: str, said: Connection) -> None:
    """One `easel models add`, as another machine if `machine` is given."""
    from easel.models import FetchLimits, Intake, Kind, ModelError, ModelRequest, Store, lock

    if machine:
        lock._machine = lambda: machine  # type: ignore[attr-defined]
    limits = FetchLimits(connections=4, stall=3, slow=5, patience=6, pause=0.02, lock_expiry=2)
    try:
        intake = Intake(Store(Path(root), hashing=False), limits=limits)
        added = intake.add(ModelRequest(address, Kind.LORA, sha256=digest))
        said.send("fetched" if added.fetched else "there")
        os._exit(WHOLE)
    except ModelError as error:
        said.send(str(error))
        os._exit(REASON)


@dataclass
class Process:
    """A child that runs."""

    process: multiprocessing.process.BaseProcess
    said: Connection
    words: str = ""

    @property
    def ended(self) -> bool:
        if not self.words and self.said.poll():
            try:
                self.words = str(self.said.recv())
            except EOFError:
                self.words = "killed"
        return self.process.exitcode is not None

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def start(root: Path, address: str, digest: str, machine: str = "") -> Process:
    mine, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=child, args=(str(root), address, digest, machine, theirs))
    process.start()
    theirs.close()
    return Process(process, mine)


@dataclass
class Case:
    """One download with its fate: killed when so many bytes have been sent, and what is wrong with it."""

    name: str
    root: Path
    served: Manners
    digest: str
    wrong: str = ""
    kills: list[int] = field(default_factory=list)
    process: Process | None = None
    outcome: int | None = None
    words: str = ""

    @property
    def target(self) -> Path:
        return self.root / "Lora" / self.name


def make_case(number: int, server: Serving, root: Path, small: Path | None, chance: random.Random) -> Case:
    """A download whose troubles are drawn by lot."""
    size = chance.randrange(3 * MB, 5 * MB)
    content = model_bytes(size, seed=number)
    name = f"model-{number}.safetensors"
    served = server.put(f"/{name}", content, rate=150_000, cut_chance=0.1)
    case = Case(name, root, served, sha256(content))
    case.wrong = chance.choice(["", "", "", "", "truncated", "bytes", "full" if small else ""])
    if case.wrong == "truncated":
        served.content = content[: size // 2]
    elif case.wrong == "bytes":
        at = chance.randrange(size // 2, size)
        served.content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    elif case.wrong == "full" and small is not None:
        case.root = small
    case.kills = sorted(chance.randrange(size) for _ in range(chance.choice([0, 1, 1, 2])))
    return case


def run_all(
    cases: list[Case], server: Serving, at_once: int, look: Callable[[Case], None], limit: float
) -> None:
    """Run every case to its end, starting again what was killed. `look` is called after each kill and end."""
    waiting, running = list(cases), []
    deadline = time.monotonic() + limit
    while waiting or running:
        assert time.monotonic() < deadline, [case.name for case in running]
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
        for case in list(running):
            if case.process is None:
                case.process = start(case.root, f"{server.url}/{case.name}", case.digest)
            elif case.process.ended:
                case.outcome, case.words = case.process.process.exitcode, case.process.words
                running.remove(case)
                look(case)
            elif case.kills and case.served.sent >= case.kills[0]:
                case.kills.pop(0)
                case.process.kill()
                case.process = None
                look(case)
        time.sleep(0.01)
