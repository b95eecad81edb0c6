"""What the Pulumi program refuses, under Pulumi's mocks; what it provisions is in `test_graph`."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.program import DEBUG
from tests.infra.graph import provision, run
from tests.infra.program_stacks import STACKS, stacks_world

INFRA = Path(__file__).resolve().parents[2] / "infra"


def config(runs_on: str) -> dict[str, Any]:
    return {
        "easel:team": {"runs_on": runs_on, "domain": "a.example.com"},
        "easel:endpoints": {"a": {"shape": "gpu.t4"}},
    }


def test_a_stack_for_one_machine_is_sent_to_make_up() -> None:
    """`pulumi up` has nothing to provision for it."""
    with pytest.raises(pulumi.RunError, match=r"stacks/Pulumi\.local\.yaml says runs_on: local.*`make up`"):
        run(config("local"), "local")


def test_a_faulty_stack_ends_with_its_faults() -> None:
    """The same words as from `make up`, before anything is registered."""
    bad = config("instances") | {"easel:endpoints": {"a": {"shape": "gpu.t5", "idle": 5}}}
    with pytest.raises(pulumi.RunError) as error:
        run(bad, "art")
    assert len(str(error.value).splitlines()) == 2
    assert "stacks/Pulumi.art.yaml: easel:endpoints.a.shape" in str(error.value)


def test_what_pulumi_has_decrypted_is_refused() -> None:
    """It would be in the configuration's object and in the state, open. The engine tells its key alone."""
    with pytest.raises(pulumi.RunError, match=r"easel:endpoints: something in it is a secret of Pulumi's"):
        run(config("instances"), "art", secret_keys=["easel:endpoints"])


def test_a_preview_warns_of_another_stack_with_the_same_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pull request it is the last chance: AWS would refuse the record when the rest is paid for."""
    text = "config: {'easel:team': {domain: a.example.com}, 'easel:endpoints': {}}\n"
    (tmp_path / "Pulumi.music.yaml").write_text(text)
    (tmp_path / "Pulumi.broken.yaml").write_text("config: [")
    monkeypatch.setattr("infra.program.FOLDER", tmp_path)
    said = run(config("instances"), "art", stacks_world(), preview=True).said
    (told,) = [line for line in said if "Pulumi.music.yaml" in line]
    assert "easel:team.domain: a.example.com is the domain of Pulumi.music.yaml too" in told


def test_a_stack_without_configuration_is_told_what_is_missing() -> None:
    """`pulumi stack init` and `pulumi up` at once is what newcomers do."""
    with pytest.raises(pulumi.RunError, match="easel:endpoints: is missing"):
        run({}, "art")


def test_a_preview_only_looks() -> None:
    """Every question of the program is a lookup, `get…`; boto3, which could write, is the bake's alone, whose
    resource the engine makes after the preview."""
    world = stacks_world()
    for stack in STACKS.values():
        provision(stack.endpoints, stack.team, stack.name, world, preview=True)
    assert world.asked
    assert {token for token, _ in world.asked if not token.rpartition(":")[2].startswith("get")} == set()
    assert {file.parent.name for file in INFRA.rglob("*.py") if "import boto3" in file.read_text()} == {
        "bake"
    }


def test_the_program_is_a_table_of_contents() -> None:
    """DESIGN: under 80 lines."""
    assert len((INFRA / "__main__.py").read_text().splitlines()) < 80


def test_debug_lines_are_sent_only_if_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a call that the program waits for, 70 for an endpoint; with EASEL_DEBUG all are there."""
    heard: list[str] = []

    def hear(msg: str, *_: object, **__: object) -> None:
        heard.append(msg)

    monkeypatch.setattr(pulumi.log, "debug", hear)
    monkeypatch.setenv(DEBUG, "1")
    provision({"studio": {"shape": "gpu.t4"}})
    assert any("registering resource" in line and "easel-art-studio-replicas" in line for line in heard)
    heard.clear()
    monkeypatch.delenv(DEBUG)
    graph = provision({"studio": {"shape": "gpu.t4"}}, preview=True)
    assert not [line for line in heard if "studio" in line], "but those of the stack, before the program runs"
    assert graph.said, "what is not for debugging is told as ever"
