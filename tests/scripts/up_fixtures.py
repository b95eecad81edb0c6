"""One `easel up` for all that only look at it, and the environment for those that start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.scripts.running import STACK, Up, environment, up

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `easel up` for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("up")
    (folder / "Pulumi.here.yaml").write_text(STACK)
    first = free_ports()
    with up(environment(folder / "home", first + 1, folder / "Pulumi.here.yaml")) as found:
        found.says("studio is ready after")
        yield found


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Settings of an easel of one's own."""
    stack = tmp_path / "Pulumi.here.yaml"
    stack.write_text(STACK)
    return environment(tmp_path / "home", free_ports() + 1, stack)
