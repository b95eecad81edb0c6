"""The team's place in the DNS: a hosted zone, and a record for the console and each endpoint."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.names import suffixes
from infra.spec import Spec
from infra.tags import STACK, Tags

SECONDS = 60
"""How long resolvers keep a record: the gateway's address hardly ever changes, but mistakes happen."""


class NoZone(pulumi.RunError):
    """No hosted zone of the account holds the team's domain."""


class Domain(pulumi.ComponentResource):
    """A hosted zone that is there, or a new one with `zone: create`. Raises NoZone at preview."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[Sequence[str]] | None
    """What to delegate the domain to, where the zone is new; None where it was there."""
    name: str
    """Such as `art.example.com`."""

    def __init__(self, name: str, spec: Spec, tags: Tags, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:domain:Domain", name, None, opts)
        self.name = spec.team.domain or ""
        self._tags = tags
        if spec.team.zone == "create":
            zone = aws.route53.Zone(
                tags.name("zone"),
                name=self.name,
                comment=f"Endpoints of team {tags.team}",
                # Records that others put there are theirs: then destroy stops and says so.
                force_destroy=False,
                tags=tags.of_team("zone"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            self.zone_id, self.name_servers = self._found(spec.team.zone), None
        self.register_outputs({"zone_id": self.zone_id, "name_servers": self.name_servers})

    def host(self, label: str) -> str:
        """The host name of a label: `studio.art.example.com`."""
        return f"{label}.{self.name}"

    def record(
        self, label: str, address: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> aws.route53.Record:
        """The record `<label>.<domain>` → `address` (IPv4), a child of whoever `opts` says."""
        return aws.route53.Record(
            self._tags.name("record", label),
            zone_id=self.zone_id,
            name=self.host(label),
            type="A",
            ttl=SECONDS,
            records=[address],
            opts=opts,
        )

    def _found(self, zone: str) -> pulumi.Output[str]:
        if zone != "find":
            self._holds(zone)
            return pulumi.Output.from_input(zone)
        for suffix in suffixes(self.name):
            found = self._zone_of(suffix)
            if found:
                return pulumi.Output.from_input(found)
        raise NoZone(
            f"easel:team.domain: no hosted zone of this account holds {self.name}: looked for "
            f"{', '.join(suffixes(self.name))}. Add `zone: create` to easel:team, and easel makes one and "
            "shows the name servers to delegate it to; or `zone: Z…`, the id of the right one"
        )

    def _holds(self, zone: str) -> None:
        """Whether the zone of this id holds the domain: else AWS would refuse each record, half-way.

        Who may not look is believed. Raises NoZone.
        """
        try:
            found = aws.route53.get_zone(zone_id=zone, opts=pulumi.InvokeOptions(parent=self))
        except Exception as error:
            # The provider has no type for it: a plain Exception with the words of the lookup.
            words = ("NoSuchHostedZone", "couldn't find resource", "no matching")
            if not any(one in str(error) for one in words):
                pulumi.log.debug(f"hosted zone {zone}: {error}")
                return
            raise NoZone(
                f"easel:team.zone: this account has no hosted zone {zone}. `aws route53 list-hosted-zones` "
                "lists those it has; leave zone out, and it is found by the domain"
            ) from None
        self._not_ours(found)
        name = found.name.rstrip(".")
        if self.name != name and not self.name.endswith(f".{name}"):
            raise NoZone(
                f"easel:team.zone: {zone} is the hosted zone of {name}, which {self.name} is not below: take "
                "the right one, or leave zone out, and it is found by the domain"
            )

    def _zone_of(self, suffix: str) -> str | None:
        try:
            opts = pulumi.InvokeOptions(parent=self)
            found = aws.route53.get_zone(name=suffix, private_zone=False, opts=opts)
        except Exception as error:
            # The provider has no type for it: a plain Exception with the words of the lookup.
            said = str(error)
            if "no matching" in said:
                return None
            if "multiple" in said:
                raise NoZone(
                    f"easel:team.domain: the account has several public hosted zones of the name {suffix}. "
                    "Say which with easel:team.zone, the id that its parent delegates to (`Z…`)"
                ) from None
            raise
        self._not_ours(found)
        return found.zone_id

    def _not_ours(self, found: aws.route53.GetZoneResult) -> None:
        """Whether this stack made the zone, by its tag: a program that only looks it up has Pulumi delete it,
        last of all, and AWS refuses that while records are in it ("DeleteHostedZone", its API reference).
        Raises NoZone."""
        if (found.tags or {}).get(STACK) != self._tags.stack:
            return
        raise NoZone(
            f"easel:team.zone: {found.zone_id} is the hosted zone of {found.name} that this stack made, and "
            "without `zone: create` it would be deleted: leave that line in. To keep the zone without the "
            "stack, take it out of Pulumi's state (`pulumi state delete`) and its tag off: `aws route53 "
            f"change-tags-for-resource --resource-type hostedzone --resource-id {found.zone_id} "
            f"--remove-tag-keys {STACK}`"
        )
