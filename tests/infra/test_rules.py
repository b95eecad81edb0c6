"""What must hold between the fields of a spec."""

from pathlib import Path
from typing import Any

import pytest

from infra.rules import unused_on_one_machine
from tests.infra.stacks import faults, stack

LOCAL = {"runs_on": "local"}


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"replicas": {"min": 2, "max": 1}}, "easel:endpoints.a.replicas.max: 1 is below min"),
        ({"replicas": {"min": 2}}, "easel:endpoints.a.replicas.max: 1 is below min"),
        ({"replicas": {"max": 0}}, "easel:endpoints.a.replicas.max: 0 must be at least 1"),
        ({"warm": 2}, "easel:endpoints.a.warm: 2 is more than replicas.max"),
        ({"warm": 1, "capacity": "spot"}, "take capacity: on-demand, or warm: 0"),
        ({"env": {"A": "1"}, "secrets": {"A": "x"}}, "easel:endpoints.a.secrets.A: is in env too"),
        ({"image": {"ref": "x"}}, "easel:endpoints.a.image.port: is missing"),
        (
            {"image": {"ref": "x", "port": 1, "mounts": [{"source": "models", "path": "/m"}] * 2}},
            'mounts[1].path: "/m" is mounted twice',
        ),
        (
            {"image": {"ref": "x", "port": 1}, "checkpoint": "a.safetensors"},
            "easel:endpoints.a.checkpoint: is for easel's studio, and this endpoint runs a container",
        ),
        ({"checkpoint": "hf://x/a.safetensors"}, 'checkpoint: "hf://x/a.safetensors" is an address'),
        ({"checkpoint": "a.ckpt"}, "is a pickle, which can run code when it is opened"),
        ({"checkpoint": "/a/b.safetensors"}, "is a path: write the name below"),
        ({"checkpoint": " "}, "is not the name of a file in models"),
        ({"shape": "gpu.a100-40gb"}, "only 8 at a time, for $21.96 an hour: take gpu.l40s (48 GB, $2.24)"),
        (
            {"models": ["hf://x/flux1-dev.safetensors"]},
            "is FLUX.1, which needs 26.3 GiB; gpu.t4 has 15: take shape: gpu.l40s",
        ),
        ({"shape": "cpu.small", "models": ["hf://x/sd_xl_base_1.0.safetensors"]}, "take shape: gpu.t4"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_with_what_to_take_instead(
    tmp_path: Path, endpoint: dict[str, Any], said: str
) -> None:
    """Refused at preview, before it costs anything, and told what would work."""
    told = faults(tmp_path, {"a": {"shape": "gpu.t4"} | endpoint})
    assert len(told) == 1
    assert said in told[0]


def test_a_name_that_no_public_authority_certifies_is_refused_where_it_needs_that(tmp_path: Path) -> None:
    """R-LDH labels: Let's Encrypt takes other scripts alone. A wildcard, and a CA of one's own, will do."""
    endpoints = {"ab--c": {"shape": "gpu.t4"}}
    aws = {"runs_on": "instances", "domain": "a1--x.example.com"}
    told = faults(tmp_path, endpoints, aws)
    assert len(told) == 2
    assert 'easel:team.domain: "a1--x" has hyphens as its third and fourth character' in "\n".join(told)
    assert 'easel:endpoints.ab--c: "ab--c" has hyphens' in "\n".join(told)
    assert stack(tmp_path, endpoints, {**aws, "acme": {"directory": "https://ca.example.com/acme"}})
    assert stack(tmp_path, endpoints, {**aws, "runs_on": "cluster"})
    assert stack(tmp_path, {"a--b": {"shape": "gpu.t4"}}, {**aws, "domain": "xn--bcher-kva.example.com"})


@pytest.mark.parametrize("runs_on", ["instances", "cluster"])
def test_everywhere_but_here_endpoints_need_a_domain(tmp_path: Path, runs_on: str) -> None:
    """TLS needs a name to prove."""
    told = faults(tmp_path, {"a": {"shape": "gpu.t4"}}, {"runs_on": runs_on})
    assert told == [
        f"easel:team.domain: is missing: with runs_on: {runs_on} endpoints need a domain to answer at, "
        "such as art.example.com"
    ]


def test_a_gpu_that_is_sold_by_eight_is_fine_where_the_eight_are_shared(tmp_path: Path) -> None:
    """In a cluster eight endpoints share the machine."""
    team = {"runs_on": "cluster", "domain": "a.example.com"}
    assert stack(tmp_path, {"a": {"shape": "gpu.a100-40gb"}}, team)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"image": {"ref": "x", "port": 1}}, "is not for runs_on: local"),
        ({"secrets": {"A": "x"}}, "set them in the shell that runs `make up`"),
        ({"warm": 1}, "goes with runs_on: instances only"),
    ],
)
def test_what_one_machine_cannot_do_is_refused_there(
    tmp_path: Path, endpoint: dict[str, Any], said: str
) -> None:
    """A field that would be ignored in silence is a trap."""
    told = faults(tmp_path, {"a": {"shape": "cpu.small"} | endpoint}, LOCAL)
    assert len(told) == 1
    assert said in told[0]


def test_on_one_machine_the_machine_is_the_limit(tmp_path: Path) -> None:
    """`cpu.small` is a label there: whether a model fits shows when it is loaded."""
    assert stack(
        tmp_path, {"a": {"shape": "cpu.small", "models": ["hf://x/sd_xl_base_1.0.safetensors"]}}, LOCAL
    )


def test_a_stack_moves_by_changing_one_word(tmp_path: Path) -> None:
    """Domain, members and budget of a team that lives in the cloud are no fault on one machine."""
    team = {
        "domain": "art.example.com",
        "members": {"issuer": "https://a.example.com", "client_id": "x", "domains": ["example.com"]},
        "budget": {"monthly": 5, "notify": "a@example.com"},
    }
    for runs_on in ("local", "instances", "cluster"):
        assert stack(tmp_path, {"a": {"shape": "gpu.t4"}}, team | {"runs_on": runs_on})


@pytest.mark.parametrize("runs_on", ["instances", "cluster"])
def test_a_file_of_this_machine_is_fetched_on_this_machine_only(tmp_path: Path, runs_on: str) -> None:
    """Before anything is started: on AWS the same path is another machine's, where nothing lies."""
    wanted = {"a": {"shape": "gpu.t4", "models": ["s3://bucket/key.safetensors", "file:/m/a.safetensors"]}}
    (told,) = faults(tmp_path, wanted, {"domain": "art.example.com", "runs_on": runs_on})
    assert told.startswith('easel:endpoints.a.models[1]: "file:/m/a.safetensors" is a file of one machine')
    assert "easel upload" in told
    assert stack(tmp_path, wanted, LOCAL)


def test_what_one_machine_does_nothing_with_is_told(tmp_path: Path) -> None:
    """Only what was written: a default that does nothing is nobody's concern."""
    team = LOCAL | {"domain": "art.example.com"}
    spec = stack(
        tmp_path,
        {"a": {"shape": "gpu.t4", "capacity": "spot", "models": ["s3://b/k"]}, "b": {"shape": "gpu.t4"}},
        team,
    )
    assert unused_on_one_machine(spec) == ["easel:team.domain", "easel:endpoints.a.capacity"]


def test_a_platform_stack_has_no_endpoints_and_one_machine_has_some(tmp_path: Path) -> None:
    """`endpoints: {}` is a cluster that others share; on one machine there would be nothing to start."""
    assert stack(tmp_path, {}).endpoints == {}
    assert "is empty" in faults(tmp_path, {}, LOCAL)[0]


def test_a_platform_goes_with_a_cluster(tmp_path: Path) -> None:
    """Naming another stack's cluster means nothing elsewhere."""
    told = faults(tmp_path, {}, {"domain": "a.example.com", "platform": "shared"})
    assert told == [
        'easel:team.platform: "shared" goes with runs_on: cluster only; here runs_on is instances'
    ]


def test_a_faulty_field_raises_no_second_fault(tmp_path: Path) -> None:
    """A rule that looked at a faulty field would tell nonsense, so it is silent until the field is right."""
    told = faults(tmp_path, {"a": {"shape": "gpu.t4", "warm": 3, "replicas": {"max": "four"}}})
    assert told == ['easel:endpoints.a.replicas.max: "four" must be a whole number']
