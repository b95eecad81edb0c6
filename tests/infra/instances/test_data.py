"""The gateway's data volume over `destroy` and `up`: told of, taken back, or refused with what to do."""

from typing import Any

import pytest

from infra.instances.data import NoVolume
from tests.infra.graph import World, provision
from tests.infra.world import Refused

LEFT = "vol-0123456789abcdef0"
ONE = {"studio": {"shape": "gpu.t4"}}
BACK = {"storage": {"gateway": LEFT}}


def left(**facts: Any) -> World:
    return World(volumes={LEFT: {"availabilityZone": "us-east-1b", **facts}})


def test_a_volume_that_is_named_is_taken_back_where_it_is() -> None:
    """The machine goes to the volume's zone; nothing is made in its place, and the host knows its id."""
    graph = provision(ONE, BACK, world=left())
    assert not graph.of("Volume")
    instance = graph.one("Instance", "easel-art-gateway")
    assert instance.inputs["subnetId"] == "subnet-easel-art-public-b"
    assert f"VOLUME={LEFT}" in instance.inputs["userData"]
    attached = graph.one("VolumeAttachment", "easel-art-gateway-data")
    assert attached.inputs["volumeId"] == LEFT
    assert f"easel:team.storage.gateway: {LEFT}" in "\n".join(graph.outputs["kept_by_destroy"])


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (World(), f"storage.gateway: there is no volume {LEFT} in this region"),
        (left(encrypted=False), "is not encrypted"),
        (
            left(availabilityZone="us-east-1f"),
            r"is in us-east-1f, and the team's subnets are in us-east-1a, ",
        ),
    ],
)
def test_a_volume_that_does_not_fit_is_refused_at_preview(world: World, said: str) -> None:
    """AWS would say so after the old gateway is gone, when the attachment fails."""
    with pytest.raises(NoVolume, match=said):
        provision(ONE, BACK, world=world, preview=True)


def test_a_preview_tells_of_a_volume_that_an_earlier_stack_left() -> None:
    """Who types `pulumi up` a second time knows nothing of it; only this team's are asked for."""
    world = left()
    graph = provision(ONE, world=world, preview=True)
    assert any(f"easel:team.storage.gateway: {LEFT}" in line for line in graph.said)
    ((_, asked),) = [one for one in world.asked if one[0].endswith(":getEbsVolumes")]
    named = {one["name"]: one["values"] for one in asked["filters"]}
    assert named == {
        "tag:easel:team": ["art"],
        "tag:Name": ["easel-art-gateway-data"],
        "status": ["available"],
    }
    assert not any("earlier stack" in line for line in provision(ONE, world=World(), preview=True).said)


def test_who_may_not_list_volumes_is_not_stopped() -> None:
    """It is a hint and no condition."""

    class Shut(World):
        def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
            if token.endswith(":getEbsVolumes"):
                raise Refused("UnauthorizedOperation: ec2:DescribeVolumes")
            return super().answer(token, args)

    assert provision(ONE, world=Shut(), preview=True).of("Volume")
