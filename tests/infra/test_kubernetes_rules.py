"""What is refused of a stack file for a Kubernetes that is there, and what is told to take instead."""

from pathlib import Path
from typing import Any

import pytest

from infra.rules import unused_on_one_machine
from tests.infra.stacks import faults, stack

IMAGE = "studio=ghcr.io/acme/easel:studio-1,gateway=ghcr.io/acme/easel:gateway-1"
TEAM: dict[str, Any] = {"runs_on": "kubernetes", "domain": "art.example.com", "image": IMAGE}
KUBERNETES: dict[str, Any] = {"context": "mine", "edge": {"ingress": "traefik"}}
RIGHT = TEAM | {"kubernetes": KUBERNETES}
ONE = {"a": {"shape": "gpu.t4"}}
ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:art/login-Ab12Cd"
MEMBERS = {"issuer": "https://a.example.com", "client_id": "x", "domains": ["example.com"]}


def within(**fields: Any) -> dict[str, Any]:
    """The team with these fields of `kubernetes`."""
    return TEAM | {"kubernetes": KUBERNETES | fields}


def test_a_right_file_is_no_fault(tmp_path: Path) -> None:
    """With what it must say and nothing else."""
    spec = stack(tmp_path, ONE, RIGHT)
    assert spec.team.kubernetes.context == "mine"
    assert spec.team.kubernetes.gpu == "nvidia.com/gpu"


def test_what_is_missing_is_told_at_once(tmp_path: Path) -> None:
    """Domain, context, image and edge, each with what to write."""
    told = "\n".join(faults(tmp_path, ONE, {"runs_on": "kubernetes"}))
    assert "easel:team.domain: is missing: with runs_on: kubernetes" in told
    assert "easel:team.kubernetes.context: is missing: name the context" in told
    assert "easel:team.image: build needs AWS: build the images yourself" in told
    assert "easel:team.kubernetes.edge: names no way in: give one of ingress" in told
    assert len(told.splitlines()) == 4


@pytest.mark.parametrize(
    ("team", "said"),
    [
        ({"zone": "create"}, "easel:team.zone: is a hosted zone of Route 53"),
        ({"acme": {"directory": "https://ca.example.com/d"}}, "easel:team.acme: is for certificates"),
        (
            {"budget": {"monthly": 5, "notify": "a@example.com"}},
            "easel:team.budget: is an alarm of AWS Budgets",
        ),
        ({"network": {"vpc": "vpc-0123456789abcdef0"}}, "easel:team.network.vpc: is a network of AWS"),
        (
            {"storage": {"existing": "fs-0123456789abcdef0"}},
            "easel:team.storage.existing: is a file system of AWS",
        ),
        ({"storage": {"gateway": "vol-0123456789abcdef0"}}, "easel:team.storage.gateway: is a disk of AWS"),
        ({"machine_images": {"gpu": "ami-0123456789abcdef0"}}, "easel:team.machine_images.gpu: is of EC2"),
        ({"platform": "shared"}, 'easel:team.platform: "shared" goes with runs_on: cluster only'),
        (
            {"members": MEMBERS | {"client_secret": ARN}},
            "On Kubernetes it is <secret>/<key> of the namespace",
        ),
        (
            {"members": MEMBERS | {"client_secret": "sso"}},
            "On Kubernetes it is <secret>/<key> of the namespace",
        ),
    ],
)
def test_what_aws_alone_can_do_is_refused_with_what_takes_its_place(
    tmp_path: Path, team: dict[str, Any], said: str
) -> None:
    """Passed over, a budget that no alarm watches would be believed."""
    (told,) = faults(tmp_path, ONE, RIGHT | team)
    assert said in told


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edge": {"ingress": "a", "address": "10.0.0.1"}}, "edge: names ingress and address: give one of"),
        ({"edge": {"gateway": "a/b", "tls": "c"}}, "edge.tls: goes with ingress only"),
        ({"namespace": "default"}, 'kubernetes.namespace: "default" is of others'),
        ({"namespace": "scaler", "keda_namespace": "scaler"}, 'namespace: "scaler" is of others'),
        (
            {"storage": {"models": "files", "outputs": {"a": "files"}}},
            'storage.outputs.a: "files" holds the models already',
        ),
        ({"edge": {"ingress": "a", "timeouts": False}}, "edge.timeouts: goes with gateway only"),
        ({"edge": {"gateway": "alone"}}, '"alone" is not a Gateway: write namespace/name'),
        ({"edge": {"address": "host"}}, '"host" is not an IP address'),
        (
            {"edge": {"ingress": "a", "trusted": ["10.42.0.1/16"]}},
            "is not a network: write it as 10.42.0.0/16",
        ),
        (
            {"edge": {"address": "10.0.0.1", "service_annotations": {"a": "b"}}},
            "with address the Service is the edge: write annotations",
        ),
        ({"gpu": "gpu"}, '"gpu" is not a resource: write its vendor and its name'),
        ({"gpu": "requests.nvidia.com/gpu"}, "is a name that Kubernetes keeps for itself"),
        ({"namespace": "Art"}, '"Art" is not a name of Kubernetes'),
        ({"namespace": "n" * 64}, "is not a name of Kubernetes: at most 63"),
        ({"node_selector": {"a b": "c"}}, "is not a key of Kubernetes"),
        ({"node_selector": {"a": "b c"}}, "is not a label's value"),
        (
            {"tolerations": [{"operator": "Equal", "key": "a"}]},
            "tolerations[0]: Equal compares a key's value",
        ),
        (
            {"shapes": {"gpu.t4": {"tolerations": [{"key": "a", "value": "b"}]}}},
            "shapes.gpu.t4.tolerations[0].value: is not looked at with Exists",
        ),
        ({"shapes": {"gpu.t5": {}}}, "is not a shape: take one of cpu.small, gpu.t4"),
        ({"shapes": {"gpu.t4": {"cpu": "0.1m"}}}, "is not a number of processors"),
        ({"storage": {"outputs": {"b": "claim"}}}, "storage.outputs.b: is no endpoint of this file"),
        ({"kubeconfig": "config"}, '"config" does not fit. The file with the context'),
        ({"keda": "chart"}, '"chart" is not allowed. Allowed are install, there'),
        ({"contxt": "x"}, "is not a field; did you mean context?"),
    ],
)
def test_what_kubernetes_would_not_take_is_told_before_it_is_asked(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    """At preview, with the field and what is right."""
    (told,) = faults(tmp_path, ONE, within(**fields))
    assert said in told


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"capacity": "spot"}, "capacity: spot is how AWS sells instances"),
        ({"warm": 1}, "warm: 1 goes with runs_on: instances only"),
        (
            {"secrets": {"T": "Name With Spaces"}},
            "secrets.T: names no Secret of the namespace: write <secret>/<key>",
        ),
        ({"models": ["s3://b/k.safetensors"]}, 'models[0]: "s3://b/k.safetensors" is read by the rights'),
        ({"models": ["file:/m.safetensors"]}, 'models[0]: "file:/m.safetensors" is a file of one machine'),
        ({"image": {"ref": "x", "port": 80, "user": 0}}, "image.user: 0 is root, which Pod Security"),
        ({"image": {"ref": "x", "port": 80, "registry": ARN}}, "On Kubernetes it is the name of a Secret"),
    ],
)
def test_an_endpoint_that_cannot_work_there_is_refused(
    tmp_path: Path, endpoint: dict[str, Any], said: str
) -> None:
    """Each with what to take instead."""
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4"} | endpoint}, RIGHT)
    assert said in told


def test_elsewhere_the_section_is_refused_or_told_to_do_nothing(tmp_path: Path) -> None:
    """On AWS it would be believed; on one machine a stack is tried as it is."""
    aws = {"runs_on": "instances", "domain": "art.example.com", "kubernetes": KUBERNETES}
    (told,) = faults(tmp_path, ONE, aws)
    assert told == "easel:team.kubernetes: goes with runs_on: kubernetes only; here runs_on is instances"
    spec = stack(tmp_path, ONE, {"runs_on": "local", "kubernetes": KUBERNETES})
    assert unused_on_one_machine(spec) == ["easel:team.kubernetes"]


def test_on_aws_a_secret_is_an_arn(tmp_path: Path) -> None:
    """The name of a Secret of Kubernetes is nothing there."""
    aws = {"runs_on": "instances", "domain": "art.example.com"}
    (told,) = faults(tmp_path, ONE, aws | {"members": MEMBERS | {"client_secret": "sso/secret"}})
    assert '"sso/secret" does not fit. On AWS it is the ARN' in told
    image = {"ref": "x", "port": 80, "registry": "login"}
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "image": image}}, aws)
    assert '"login" does not fit. On AWS it is the ARN' in told
