"""Ctrl-C during a bake, under Pulumi's real engine: never two builds of one content, a state that goes on."""

import itertools
from collections.abc import Iterator

import pytest

from infra.bake.archive import content_hash
from tests.gateway.conftest import until
from tests.infra.bake.cloud import Cloud
from tests.infra.engine.pulumi import Engine, Running
from tests.infra.engine.test_engine import begun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 120.0
_numbers = itertools.count(1)


def builds(builder: Cloud) -> int:
    """How many builds were started."""
    return len(builder.started())


@pytest.fixture
def baking(pulumi: Engine, builder: Cloud) -> Iterator[tuple[str, Running]]:
    """A stack whose `up` waits for a build that does not end by itself."""
    stack = f"cut-{next(_numbers)}"
    begun(pulumi, builder, stack, "studio")
    content = content_hash(pulumi.project / "image")
    if builds(builder):  # by the stack of another test, and equal content is built once
        images = [{"imageTag": f"{target}-{content}"} for target in ("studio", "gateway")]
        builder.client("ecr").batch_delete_image(repositoryName="easel/images", imageIds=images)
    before, builder.polls = builds(builder), 10**9
    running = pulumi.begin("up", "--yes", "--skip-preview", "--stack", stack)
    try:
        until(lambda: builds(builder) > before, PATIENCE, "the build starts")
        yield stack, running
    finally:
        builder.polls = 0
        running.away()


def interrupted(running: Running) -> None:
    """One Ctrl-C, until it is said to be heard."""
    running.interrupt()
    until(lambda: "cancel" in running.said().lower(), PATIENCE, "a word about the interruption")


def finished(pulumi: Engine, builder: Cloud, stack: str, started: int) -> None:
    """The next `up` goes on to the end, with the build that there is and that ends while it is watched."""
    builder.polls = max(build.asked for build in builder.builds.values()) + 2
    pulumi.did("up", "--yes", "--skip-preview", "--stack", stack)
    assert builds(builder) == started
    assert pulumi.outputs(stack)["endpoints"]["studio"]["url"]
    pulumi.did("preview", "--expect-no-changes", "--stack", stack)


def test_one_ctrl_c_waits_for_the_build_once(
    pulumi: Engine, builder: Cloud, baking: tuple[str, Running]
) -> None:
    """Nothing new is begun; the build that is under way is awaited and kept, and the next `up` has it."""
    stack, running = baking
    started = builds(builder)
    interrupted(running)
    builder.polls = 0
    assert running.ended(PATIENCE) != 0
    assert "Traceback" not in running.said()
    finished(pulumi, builder, stack, started)


def test_a_second_ctrl_c_leaves_the_build_to_the_next_up(
    pulumi: Engine, builder: Cloud, baking: tuple[str, Running]
) -> None:
    """At once, whatever the build does; it goes on at AWS and is found by its content, not built twice."""
    stack, running = baking
    started = builds(builder)
    interrupted(running)
    running.interrupt()
    assert running.ended(PATIENCE) != 0
    assert builds(builder) == started
    finished(pulumi, builder, stack, started)


def test_a_killed_up_leaves_the_build_to_the_next_one(
    pulumi: Engine, builder: Cloud, baking: tuple[str, Running]
) -> None:
    """A laptop that ran out of power: the lock is taken off as Pulumi says, and the build is found again."""
    stack, running = baking
    started = builds(builder)
    running.away()
    pulumi.did("cancel", "--yes", "--stack", stack)
    finished(pulumi, builder, stack, started)
