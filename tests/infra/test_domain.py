"""The team's place in the DNS."""

import pulumi
import pytest

from infra.names import suffixes
from tests.infra.graph import World, provision
from tests.infra.world import Refused

ONE = {"studio": {"shape": "gpu.t4"}}


class Denied(World):
    """Of whoever may not look at hosted zones."""

    def _zone(self, args: dict[str, object]) -> dict[str, object]:
        raise Refused("AccessDenied: not authorized to perform: route53:ListHostedZones")


class Made(World):
    """Where a stack has made the zone of the domain, which Pulumi tagged."""

    def __init__(self, stack: str) -> None:
        super().__init__(hosted={"art.example.com": "Z0123456789ABC"})
        self.stack = stack

    def _zone(self, args: dict[str, object]) -> dict[str, object]:
        return {**super()._zone(args), "tags": {"easel:stack": self.stack}}


@pytest.mark.parametrize("zone", ["find", "Z0123456789ABC"])
def test_the_zone_that_the_stack_made_is_not_deleted_by_a_line_that_is_gone(zone: str) -> None:
    """`zone: create` taken out: AWS would refuse at the end of each `up`, as the zone has records in it."""
    with pytest.raises(pulumi.RunError) as error:
        provision(ONE, {"zone": zone}, world=Made("easel/art"))
    said = str(error.value)
    assert (
        "easel:team.zone: Z0123456789ABC is the hosted zone of art.example.com that this stack made" in said
    )
    assert "leave that line in" in said
    assert "--remove-tag-keys easel:stack" in said
    assert provision(ONE, {"zone": zone}, world=Made("easel/music")), "another team's is a zone as any other"


@pytest.mark.parametrize(
    ("hosted", "zone"),
    [
        ({"example.com": "Z1"}, "Z1"),
        ({"art.example.com": "Z2"}, "Z2"),
        ({"example.com": "Z1", "art.example.com": "Z2"}, "Z2"),
    ],
)
def test_records_go_to_the_nearest_zone(hosted: dict[str, str], zone: str) -> None:
    """A record in the zone above one that is delegated would never be seen."""
    graph = provision(ONE, world=World(hosted=hosted))
    records = graph.of("Record")
    assert {record.inputs["zoneId"] for record in records} == {zone}
    names = {record.inputs["name"] for record in records}
    assert names == {"console.art.example.com", "studio.art.example.com"}
    assert {tuple(record.inputs["records"]) for record in records} == {("192.0.2.7",)}
    assert "name_servers" not in graph.outputs


def test_without_a_zone_the_preview_ends_with_both_ways_out() -> None:
    """Before anything is bought: a certificate could never be had."""
    with pytest.raises(pulumi.RunError) as error:
        provision(ONE, world=World(hosted={"com": "Z3", "example.org": "Z4"}))
    said = str(error.value)
    assert "looked for art.example.com, example.com." in said
    assert "`zone: create`" in said
    assert "`zone: Z…`" in said


def test_two_zones_of_a_name_are_for_a_person_to_choose_from() -> None:
    """Only one of them is delegated to, and easel cannot know which."""
    with pytest.raises(pulumi.RunError, match=r"several public hosted zones of the name example\.com"):
        provision(ONE, world=World(hosted={"example.com": "several"}))


def test_a_zone_by_its_id_is_looked_at_by_its_id_alone() -> None:
    """The way out of both; and who may not look at it may still name it."""
    world = World(hosted={"example.com": "Z0123456789ABC"})
    graph = provision(ONE, {"zone": "Z0123456789ABC"}, world=world)
    assert {record.inputs["zoneId"] for record in graph.of("Record")} == {"Z0123456789ABC"}
    assert [args for token, args in world.asked if token.endswith("getZone")] == [
        {"zoneId": "Z0123456789ABC"}
    ]
    assert provision(ONE, {"zone": "Z0123456789ABC"}, world=Denied(hosted={})).of("Record")


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Z404", "this account has no hosted zone Z404"),
        ("Z1", "Z1 is the hosted zone of example.org, which art.example.com is not below"),
        ("Z2", "Z2 is the hosted zone of rt.example.com, which"),
    ],
)
def test_a_zone_by_its_id_that_does_not_hold_the_domain_is_refused(zone: str, said: str) -> None:
    """AWS would refuse each record, when the rest is there and paid for."""
    world = World(hosted={"example.org": "Z1", "rt.example.com": "Z2"})
    with pytest.raises(pulumi.RunError, match=said):
        provision(ONE, {"zone": zone}, world=world)


def test_a_new_zone_shows_what_to_delegate_to() -> None:
    """And says so first among what to do next; destroy does not take records of others with it."""
    graph = provision(ONE, {"zone": "create"}, world=World(hosted={}))
    (zone,) = graph.of("Zone")
    assert (zone.inputs["name"], zone.inputs["forceDestroy"]) == ("art.example.com", False)
    assert graph.outputs["name_servers"] == ["ns-1.example.org", "ns-2.example.org"]
    assert graph.outputs["next"][0].startswith("Delegate art.example.com")


def test_a_denied_lookup_is_not_taken_for_a_missing_zone() -> None:
    """Who may not list zones must not be told to make one."""
    with pytest.raises(Exception, match="not authorized") as error:
        provision(ONE, world=Denied())
    assert not isinstance(error.value, pulumi.RunError)


def test_the_top_level_is_nobodys_zone() -> None:
    """`com` is not looked for."""
    assert suffixes("art.team.example.com") == ["art.team.example.com", "team.example.com", "example.com"]
