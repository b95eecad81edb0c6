"""The Pulumi program for 1, 10 and 100 endpoints, under mocks: its own time, and how many resources it has.

Each run is a process of its own, as each `pulumi up` is. Imports, which an empty program has too, are not
counted; the engine and AWS, which take minutes, are not there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from bench.running import ROOT
from bench.table import spread

ROUNDS = 3
ENDPOINTS = (1, 10, 100)
PROMISE = "100 endpoints ≤ 5 s over an empty program; linear"

ONE = """
import json, sys, time
import infra.image, infra.instances.replicas
from tests.infra.graph import provision
endpoints = {f"studio-{number}": {"shape": "gpu.a10"} for number in range(int(sys.argv[1]))}
began = time.process_time()
resources = len(provision(endpoints).nodes)
print(json.dumps([time.process_time() - began, resources]))
"""


def rows() -> Iterator[list[str]]:
    """Seconds of the processor, which neighbours on the machine do not lengthen much, and resources."""
    took: dict[int, list[float]] = {count: [] for count in ENDPOINTS}
    resources: dict[int, int] = {}
    for _ in range(ROUNDS):
        for count in ENDPOINTS:
            seconds, resources[count] = _run(count)
            took[count].append(seconds)
    least, most = ENDPOINTS[0], ENDPOINTS[-1]
    for count in ENDPOINTS:
        each = statistics.median(took[count]) / resources[count] * 1000
        what = f"program, endpoints: {count}, resources: {resources[count]}"
        yield [what, spread(took[count]), "", f"{each:.1f} ms a resource", PROMISE if count == most else ""]
    more = (resources[most] - resources[least]) / (most - least)
    yield ["resources of one endpoint more", f"{more:g}", "", "", ""]


def _run(count: int) -> tuple[float, int]:
    ran = subprocess.run(
        [sys.executable, "-c", ONE, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )
    processor, resources = json.loads(ran.stdout.splitlines()[-1])
    return float(processor), int(resources)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'image'}", "PYTHONWARNINGS": "ignore"}
