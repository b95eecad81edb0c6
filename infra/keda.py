"""KEDA, which turns the gateway's word of how many into replicas, by its chart."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pulumi_kubernetes as kubernetes

VERSION = "2.20.2"
SHA256 = "db60b1fa60f0565fefa4ce2f87e855b6a8854363ee82962fbe28a12a70d64c4c"
"""Of the chart's archive, as its repository's index has it. Helm pins a version only, which can be moved."""
ADDRESS = f"https://kedacore.github.io/charts/keda-{VERSION}.tgz"
NAMESPACE = "keda"

REQUESTS, BURST, AT_ONCE = 200, 400, 20
"""Requests a second to the API, those of a moment, and ScaledObjects taken up at once. KEDA's own are 20, 30
and 5: of 1,000 endpoints it had taken up 411 after eleven minutes, each of them some twenty requests
(docs/performance.md, Many endpoints). The API server looks after itself by priority and fairness."""
OPERATOR_ARGUMENTS: Mapping[str, str] = {"kube-api-qps": str(REQUESTS), "kube-api-burst": str(BURST)}
OPERATOR_ENVIRONMENT: Mapping[str, str] = {"KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES": str(AT_ONCE)}
VALUES: Mapping[str, Any] = {
    "extraArgs": {"keda": dict(OPERATOR_ARGUMENTS)},
    # The chart gives them to the adapter and the webhooks too, which do not know them.
    "env": [{"name": name, "value": value} for name, value in OPERATOR_ENVIRONMENT.items()],
}
"""What the chart is installed with. `tests/cluster` starts KEDA with the same."""


class NoChart(pulumi.RunError):
    """KEDA's chart cannot be had, or is not the one that was looked at."""


class Keda(pulumi.ComponentResource):
    """KEDA in a namespace of its own: once a cluster, whoever comes first. Raises NoChart at preview."""

    def __init__(
        self,
        name: str,
        provider: kubernetes.Provider,
        namespace: str = NAMESPACE,
        values: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`values` are the chart's own, beside `VALUES`, such as where its pods may run."""
        super().__init__("easel:keda:Keda", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self, provider=provider)
        home = kubernetes.core.v1.Namespace(name, metadata={"name": namespace}, opts=inside)
        kubernetes.helm.v4.Chart(
            name,
            chart=str(chart()),
            name="keda",
            namespace=namespace,
            values={**VALUES, **(values or {})},
            opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[home])),
        )
        self.register_outputs({"version": VERSION})


def chart(folder: Path | None = None) -> Path:
    """The chart's archive on this machine, fetched once and never another than was pinned. Raises NoChart."""
    folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "easel"
    file = folder / f"keda-{VERSION}.tgz"
    if file.is_file() and _is_the_one(file.read_bytes()):
        return file
    try:
        found = httpx.get(ADDRESS, follow_redirects=True, timeout=60).raise_for_status().content
    except httpx.HTTPError as error:
        raise NoChart(
            f"KEDA's chart could not be fetched from {ADDRESS}: {error}. Put the file at {file}, or install "
            "KEDA yourself and write keda: there"
        ) from None
    if not _is_the_one(found):
        raise NoChart(
            f"{ADDRESS} is not the chart that this easel was made with (SHA-256 {SHA256}): nothing is "
            "installed. Install KEDA yourself and write keda: there"
        )
    folder.mkdir(parents=True, exist_ok=True)
    whole = file.with_suffix(f".{os.getpid()}.part")
    whole.write_bytes(found)
    whole.replace(file)
    return file


def _is_the_one(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256
