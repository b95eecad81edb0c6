"""The Pulumi program, under Pulumi's mocks."""

import asyncio
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

INFRA = Path(__file__).resolve().parents[2] / "infra"


class Nothing(pulumi.runtime.Mocks):
    """No cloud: whatever is registered is a test's fault."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise AssertionError(f"registered {args.typ}")

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"called {args.token}")


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """Pulumi's runtime takes the thread's event loop; a browser's test before this one may have left none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def run(stack: str, config: dict[str, Any]) -> None:
    pulumi.runtime.set_mocks(Nothing(), project="easel", stack=stack)
    pulumi.runtime.set_all_config({key: json.dumps(value) for key, value in config.items()})
    runpy.run_path(str(INFRA / "__main__.py"), run_name="__main__")


def config(runs_on: str) -> dict[str, Any]:
    return {
        "easel:team": {"runs_on": runs_on, "domain": "a.example.com"},
        "easel:endpoints": {"a": {"shape": "gpu.t4"}},
    }


def test_a_stack_for_one_machine_is_sent_to_make_up() -> None:
    """`pulumi up` has nothing to provision for it."""
    with pytest.raises(pulumi.RunError, match=r"stacks/Pulumi\.local\.yaml says runs_on: local.*`make up`"):
        run("local", config("local"))


@pytest.mark.parametrize("runs_on", ["instances", "cluster", "kubernetes"])
def test_what_this_version_cannot_do_it_says(runs_on: str) -> None:
    """A right stack is told that it is right and that nothing was provisioned; not half of it is."""
    with pytest.raises(pulumi.RunError, match="is right, but this version of easel provisions nothing yet"):
        run("art", config(runs_on))


def test_a_faulty_stack_ends_with_its_faults() -> None:
    """The same words as from `make up`, before anything is registered."""
    bad = config("instances") | {"easel:endpoints": {"a": {"shape": "gpu.t5", "idle": 5}}}
    with pytest.raises(pulumi.RunError) as error:
        run("art", bad)
    assert len(str(error.value).splitlines()) == 2
    assert "stacks/Pulumi.art.yaml: easel:endpoints.a.shape" in str(error.value)


def test_a_stack_without_configuration_is_told_what_is_missing() -> None:
    """`pulumi stack init` and `pulumi up` at once is what newcomers do."""
    with pytest.raises(pulumi.RunError, match="easel:endpoints: is missing"):
        run("art", {})


def test_the_program_is_a_table_of_contents() -> None:
    """DESIGN: under 80 lines."""
    assert len((INFRA / "__main__.py").read_text().splitlines()) < 80
