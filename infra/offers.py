"""Where the region sells which instance types, asked before anything is made.

Not every zone sells every type (us-east-1e sells no type of easel's), and a group that is given a zone
without one is refused there: "not supported in your requested Availability Zone".
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.shapes import GATEWAY, SHAPES, SYSTEM, InstanceType, Shape
from infra.spec import Spec


class NotSold(pulumi.RunError):
    """What the stack runs on is sold in no zone that it could run in."""


@dataclass(frozen=True)
class Sold:
    """What of some types can be had, and where."""

    types: tuple[InstanceType, ...]
    """The preferred one first, of those that are sold."""
    zones: tuple[str, ...]
    """Zones that sell at least one of them, in their order."""


@dataclass(frozen=True)
class Offers:
    """The zones of a region by instance type (DescribeInstanceTypeOfferings, by `availability-zone`)."""

    region: str
    by_type: Mapping[str, frozenset[str]]

    @property
    def zones(self) -> frozenset[str]:
        """Zones that sell any type of easel's: others are of no use, whatever the stack's endpoints are."""
        return frozenset().union(*self.by_type.values())

    def sold(self, types: Collection[InstanceType], zones: Collection[str]) -> Sold:
        """What of `types` is sold in any of `zones`, which may be nothing."""
        there = {kind.name: self.by_type.get(kind.name, frozenset()) & set(zones) for kind in types}
        found = tuple(kind for kind in types if there[kind.name])
        places = frozenset().union(*there.values())
        return Sold(found, tuple(zone for zone in sorted(zones) if zone in places))

    def gateway(self, zones: Collection[str]) -> Sold:
        """Where of `zones` the gateway can stand. Raises NotSold."""
        sold = self.sold([GATEWAY], zones)
        if not sold.types:
            raise NotSold(
                f"the gateway's {GATEWAY.name} is not sold in {_listed(zones)} of {self.region}: take "
                "another aws:region, or a VPC with a public subnet in a zone that has it"
                f"{self._elsewhere([GATEWAY])}"
            )
        return sold

    def system(self, zones: Collection[str]) -> Sold:
        """Where of `zones` a cluster's gateways can stand. Raises NotSold."""
        sold = self.sold(SYSTEM, zones)
        if not sold.types:
            raise NotSold(
                f"what a cluster's gateways run on ({_names(SYSTEM)}) is not sold in {_listed(zones)} of "
                f"{self.region}: take another aws:region{self._elsewhere(SYSTEM)}"
            )
        return sold

    def replicas(self, endpoint: str, shape: Shape, zones: Collection[str]) -> Sold:
        """What of a shape an endpoint's group can start in `zones`. Raises NotSold."""
        sold = self.sold(shape.instance_types, zones)
        if not sold.types:
            raise NotSold(
                f"easel:endpoints.{endpoint}.shape: {shape.name} ({_names(shape.instance_types)}) is not "
                f"sold in {_listed(zones)} of {self.region}: {self._instead(shape, zones)}"
                f"{self._elsewhere(shape.instance_types)}"
            )
        return sold

    def _instead(self, shape: Shape, zones: Collection[str]) -> str:
        """The cheapest shape that holds as much and is sold here, else the largest."""
        alike = [
            other
            for other in SHAPES.values()
            if (other.gpu is None) == (shape.gpu is None)
            and other.only_by == 1
            and self.sold(other.instance_types, zones).types
        ]
        if not alike:
            return "take another aws:region"
        enough = [other for other in alike if other.memory >= shape.memory]
        best = min(enough, key=lambda one: one.price) if enough else max(alike, key=lambda one: one.memory)
        return (
            f"take shape: {best.name} ({best.memory:g} GiB, ${best.price:.2f} an hour), or another aws:region"
        )

    def _elsewhere(self, types: Collection[InstanceType]) -> str:
        """Where the region has it, if the zones asked for are not all of them."""
        everywhere = self.sold(types, self.zones)
        return f". {_listed(everywhere.zones)} of the region would have it" if everywhere.zones else ""


def offers_for(spec: Spec) -> Offers:
    """What the region sells, checked against every endpoint of the stack.

    Raises NotSold, at preview, with a line for each endpoint whose shape no zone of the region sells. What it
    raises for a lookup that fails is the provider's.
    """
    types = {kind for shape in SHAPES.values() for kind in shape.instance_types} | {GATEWAY}
    if spec.team.runs_on == "cluster":
        types |= set(SYSTEM)
    names = sorted(kind.name for kind in types)
    found = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=names)],
    )
    by_type: dict[str, set[str]] = {}
    for name, zone in zip(found.instance_types, found.locations, strict=True):
        by_type.setdefault(name, set()).add(zone)
    offers = Offers(aws.get_region().region, {name: frozenset(zones) for name, zones in by_type.items()})
    if faults := list(_faults(offers, spec)):
        raise NotSold("\n".join(faults))
    return offers


def _faults(offers: Offers, spec: Spec) -> Iterator[str]:
    for name, endpoint in spec.endpoints.items():
        shape = SHAPES[endpoint.shape]
        try:
            sold = offers.replicas(name, shape, offers.zones)
        except NotSold as error:
            yield str(error)
            continue
        if sold.types[0] != (preferred := shape.instance_types[0]):
            pulumi.log.warn(
                f"easel:endpoints.{name}.shape: {preferred.name} is not sold in {offers.region}; "
                f"{_names(sold.types)} takes its place, ${sold.types[0].price:.2f} an hour"
            )


def _names(types: Collection[InstanceType]) -> str:
    return ", ".join(kind.name for kind in types)


def _listed(zones: Collection[str]) -> str:
    return f"zone {', '.join(sorted(zones))}" if zones else "any zone"
