"""The Pulumi program for 0, 1, 10 and 100 endpoints, under mocks: its own time, and its resources.

Each run is a process of its own, as each `pulumi up` is. Imports have a row of their own, beside those of an
empty program; bytecode is there, as after pip. The engine and AWS, which take minutes, are not there: the
mocks stand for the engine, which is another process in truth. What they take is told beside.
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

IMPORTS = """
import time
{}
print(time.process_time())
"""
EVERYTHING = """
import infra.budget, infra.image, infra.instances.outputs, infra.instances.replicas, infra.preview
import infra.program
import pulumi_aws as aws
for service in "autoscaling budgets cloudwatch codebuild ebs ec2 efs iam route53 s3 ssm vpc".split():
    hasattr(getattr(aws, service), "an attribute, which is what imports it")
"""
"""The services are imported when they are first used; here at once, so that no run counts them."""

ONE = """
import gc, json, sys, time
EVERYTHING
from pulumi.runtime.mocks import MockEngine
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

for kind, names in (
    (graph._Recorder, ("Invoke", "RegisterResource", "RegisterResourceOutputs")),
    (MockEngine, ("Log",)),
):
    for name in names:
        setattr(kind, name, counted(getattr(kind, name)))
# The program turns it off for its whole life; the tests, which live on, turn it on again.
gc.enable = lambda: None
endpoints = {f"studio-{number}": {"shape": "gpu.a10"} for number in range(int(sys.argv[1]))}
began, first = time.process_time(), time.perf_counter()
resources = len(graph.provision(endpoints).nodes)
took, passed = time.process_time() - began, time.perf_counter() - first
print(json.dumps([took - sum(engines), sum(engines), passed, resources]))
""".replace("EVERYTHING", EVERYTHING)


@dataclass(frozen=True)
class ProgramRun:
    """One run: the processor's seconds for program and mocks, seconds on the clock, resources."""

    program: float
    mocks: float
    clock: float
    resources: int


def rows() -> Iterator[list[str]]:
    """Seconds of the processor, which neighbours on the machine do not lengthen much, and resources."""
    runs: dict[int, list[ProgramRun]] = {count: [] for count in ENDPOINTS}
    empty, imports = [], []
    _run(0)  # makes the bytecode that is missing
    for _ in range(ROUNDS):
        empty.append(_imported("import pulumi"))
        imports.append(_imported(EVERYTHING))
        for count in ENDPOINTS:
            runs[count].append(_run(count))
    yield ["imports", spread(imports), f"an empty program: {spread(empty)}", "", ""]
    for count, found in runs.items():
        resources = found[0].resources
        mocks = statistics.median([run.mocks for run in found])
        clock = statistics.median([run.clock for run in found])
        beside = f"mocks {mocks:.2f} s; both, on the clock {clock:.2f} s"
        promise = PROMISE if count == ENDPOINTS[-1] else ""
        what = f"program, endpoints: {count}, resources: {resources}"
        yield [what, spread([run.program for run in found]), "", beside, promise]
    least, middle, most = (statistics.median([run.program for run in runs[count]]) for count in (0, 10, 100))
    few, many = (middle - least) / 10 * 1000, (most - middle) / 90 * 1000
    each = f"{few:.0f} ms up to 10, {many:.0f} ms from there to 100"
    yield ["one endpoint more", each, "", "", "linear"]
    more = (runs[100][0].resources - runs[0][0].resources) / 100
    yield ["resources of one endpoint more", f"{more:g}", "", "", ""]


def _run(count: int) -> ProgramRun:
    return ProgramRun(*json.loads(_said(ONE, str(count))))


def _imported(what: str) -> float:
    return float(_said(IMPORTS.format(what)))


def _said(code: str, *words: str) -> str:
    """The last line that a process with this code says."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )
    return ran.stdout.splitlines()[-1]


def _environment() -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": f"{ROOT}:{ROOT / 'image'}",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPYCACHEPREFIX": str(ROOT / ".easel" / "bench" / "bytecode"),
    }
