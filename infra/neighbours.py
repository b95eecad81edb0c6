"""Stack files that lie side by side and would take the same: a host name, a namespace, a cluster's one KEDA.

AWS and Kubernetes refuse the second in the middle of `pulumi up`, when half of it is there and paid for.
"""

from collections.abc import Iterator
from pathlib import Path

from infra.faults import SpecError
from infra.spec import Spec
from infra.stackfile import load_stack

FOLDER = Path(__file__).resolve().parent.parent / "stacks"
"""Where Pulumi looks for stack files (`stackConfigDir` of Pulumi.yaml)."""


def clashes(spec: Spec, folder: Path) -> list[str]:
    """What another stack of this folder has too, a sentence each. Files that are none are passed over."""
    return [told for other in _others(spec, folder) for told in _between(spec, other)]


def _others(spec: Spec, folder: Path) -> Iterator[Spec]:
    for file in sorted(folder.glob("Pulumi.*.yaml")):
        try:
            other = load_stack(file)
        except SpecError:
            continue  # told where it is used
        if other.name != spec.name and other.team.runs_on != "local":
            yield other


def _between(spec: Spec, other: Spec) -> Iterator[str]:
    if spec.team.runs_on == "local":
        return
    file, domain = f"Pulumi.{other.name}.yaml", spec.team.domain
    if domain and domain == other.team.domain:
        yield (
            f"easel:team.domain: {domain} is the domain of {file} too, and one record leads to one gateway: "
            f"take another, such as {spec.name}.{domain}, or have that stack down and its file away first"
        )
    ours, theirs = spec.team.kubernetes, other.team.kubernetes
    if {spec.team.runs_on, other.team.runs_on} != {"kubernetes"} or ours.context != theirs.context:
        return
    if (ours.namespace or f"easel-{spec.name}") == (theirs.namespace or f"easel-{other.name}"):
        yield (
            f"easel:team.kubernetes.namespace: {ours.namespace} is the namespace of {file} too, in the same "
            f"context: leave it out, for easel-{spec.name}"
        )
    if ours.keda == theirs.keda == "install":
        yield (
            f"easel:team.kubernetes.keda: {file} installs KEDA in the same context, and one cluster has one: "
            "write keda: there in one of them"
        )
