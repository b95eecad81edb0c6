"""From a door to a picture with Easel's own studio in the pod, drawn on a processor in the GPU's place."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from scripts.starter.judge import judge
from tests.cluster.conftest import Cluster, until
from tests.cluster.containers import STARTER, STUDIO
from tests.cluster.stage import TeamStage, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


@pytest.fixture
def home(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """What volumes bring to a studio's pod, on this machine: models, with the starter among them, and the
    gateways' public keys."""
    checkpoints = tmp_path / "models" / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    (checkpoints / STARTER.name).symlink_to(STARTER)
    before = cluster.kubelet.commands["studio"]
    cluster.kubelet.commands["studio"] = [*STUDIO, "--home", str(tmp_path)]
    cluster.kubelet.environments["studio"] = {
        "EASEL_ASSERTION_KEYS": str(tmp_path / "keys.json"), "EASEL_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }  # fmt: skip
    yield tmp_path
    cluster.kubelet.commands["studio"] = before
    del cluster.kubelet.environments["studio"]


@pytest.fixture
def team(cluster: Cluster, home: Path) -> Iterator[TeamStage]:
    """A team whose studio is real."""
    with staged(cluster, "painters") as stage:
        keys = until(
            lambda: cluster.api.get("v1", "ConfigMap", "easel-keys", stage.namespace).get("data"), 30
        )
        (home / "keys.json").write_text(keys["keys.json"])
        yield stage


def test_a_picture_from_a_sleeping_endpoint(cluster: Cluster, team: TeamStage) -> None:
    """Asked at a door; KEDA, a node, a pod, the studio's own start with its checkpoint; drawn as asked; then
    it ends as a studio does, and nothing is paid for."""
    with team.client() as person:
        size = {"width": 128, "height": 128}
        asked = {"prompt": "a red circle on a blue background", "seed": 1, "steps": 20, **size}
        answer = person.post("/sdapi/v1/txt2img", json=asked, timeout=240)
    assert answer.status_code == 200, answer.text
    seen = judge(Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))))
    assert (seen.ground, seen.colour, seen.shape) == ("blue", "red", "circle")
    (pod,) = team.studios()
    team.asleep()
    log = next(cluster.kubelet.logs.glob(f"*_{pod['metadata']['name']}_*")).read_text()
    assert "stopped" in log.splitlines()[-1], log[-2000:]
    cluster.without_nodes(team.pool.name)
