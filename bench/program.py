"""The Pulumi program for 0, 1, 10 and 100 endpoints, under mocks: its own time, and how many resources it has.

Each run is a process of its own, as each `pulumi up` is. Imports, which an empty program has too, are not
counted; the engine and AWS, which take minutes, are not there. The mocks stand for the engine, which is another
process in truth: what they take of the processor is told beside and is not the program's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from bench.running import ROOT
from bench.table import spread

ROUNDS = 3
ENDPOINTS = (0, 1, 10, 100)
PROMISE = "100 endpoints ≤ 5 s over an empty program; linear"

ONE = """
import json, sys, time
import infra.image, infra.instances.replicas
from tests.infra import graph

engines = []

def counted(answer):
    def call(self, request):
        began = time.thread_time()
        try:
            return answer(self, request)
        finally:
            engines.append(time.thread_time() - began)
    return call

for name in ("Invoke", "RegisterResource", "RegisterResourceOutputs"):
    setattr(graph._Recorder, name, counted(getattr(graph._Recorder, name)))
endpoints = {f"studio-{number}": {"shape": "gpu.a10"} for number in range(int(sys.argv[1]))}
began, first = time.process_time(), time.perf_counter()
resources = len(graph.provision(endpoints).nodes)
took, passed = time.process_time() - began, time.perf_counter() - first
print(json.dumps([took - sum(engines), sum(engines), passed, resources]))
"""


@dataclass(frozen=True)
class Run:
    """One run: seconds of the processor for the program and for the mocks, seconds on the clock, resources."""

    program: float
    mocks: float
    clock: float
    resources: int


def rows() -> Iterator[list[str]]:
    """Seconds of the processor, which neighbours on the machine do not lengthen much, and resources."""
    runs: dict[int, list[Run]] = {count: [] for count in ENDPOINTS}
    for _ in range(ROUNDS):
        for count in ENDPOINTS:
            runs[count].append(_run(count))
    for count, found in runs.items():
        resources = found[0].resources
        mocks, clock = (statistics.median(times) for times in ([r.mocks for r in found], [r.clock for r in found]))
        beside = f"mocks {mocks:.2f} s; both, on the clock {clock:.2f} s"
        promise = PROMISE if count == ENDPOINTS[-1] else ""
        what = f"program, endpoints: {count}, resources: {resources}"
        yield [what, spread([run.program for run in found]), "", beside, promise]
    least, middle, most = (statistics.median([r.program for r in runs[count]]) for count in (0, 10, 100))
    each = f"{(middle - least) / 10 * 1000:.0f} ms up to 10, {(most - middle) / 90 * 1000:.0f} ms from there to 100"
    yield ["one endpoint more", each, "", "", "linear"]
    more = (runs[100][0].resources - runs[0][0].resources) / 100
    yield ["resources of one endpoint more", f"{more:g}", "", "", ""]


def _run(count: int) -> Run:
    ran = subprocess.run(
        [sys.executable, "-c", ONE, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )
    return Run(*json.loads(ran.stdout.splitlines()[-1]))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'image'}", "PYTHONWARNINGS": "ignore"}
