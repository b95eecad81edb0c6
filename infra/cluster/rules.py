"""What must hold in a stack file for `runs_on: cluster`, and for it alone."""

from collections.abc import Iterator

from infra.faults import SpecFault, Where, shown
from infra.spec import EndpointSpec, TeamSpec

OWN = "own"
"""The `platform` of a team with a cluster of its own."""

LONGEST_SILENCE = 4000
"""Seconds that an Application Load Balancer keeps a connection without a byte, at most ("Edit attributes for
your Application Load Balancer": 1 to 4,000). A TLS listener of a Network one has 350, and no choice."""

LONGEST_DOMAIN = 64 - len("*.")
"""Of a certificate's first name ("RequestCertificate", Certificate Manager's API reference, by RFC 5280)."""

INSTANCES_OWN = {
    "acme": "certificates are AWS Certificate Manager's",
    "machine_images": "EKS Auto Mode chooses the machine image",
}
"""Fields of the team that only instances know, and why."""

_HERE = frozenset({"runs_on"})


def team_faults(team: TeamSpec, where: Where) -> Iterator[SpecFault]:
    """Rules within the team's own fields."""
    if team.runs_on != "cluster":
        if "cluster" in team.model_fields_set:
            yield SpecFault(
                (*where, "cluster"), f"goes with runs_on: cluster; here it is {team.runs_on}", _HERE
            )
        return
    for field, why in INSTANCES_OWN.items():
        if field in team.model_fields_set:
            yield SpecFault((*where, field), f"goes with runs_on: instances only: {why}", _HERE)
    if team.storage.gateway is not None:
        yield SpecFault(
            (*where, "storage", "gateway"),
            "goes with runs_on: instances only: gateways here have no disk",
            _HERE,
        )
    if team.domain and len(team.domain) > LONGEST_DOMAIN:
        yield SpecFault(
            (*where, "domain"),
            f"is {len(team.domain)} characters long: *.<domain> is the name on the certificate that AWS "
            f"Certificate Manager gives, which has 64 at most, so take {LONGEST_DOMAIN} or fewer",
            _HERE,
        )
    yield from _platform(team, where)


def own_platform_faults(name: str, team: TeamSpec, where: Where) -> Iterator[SpecFault]:
    """A stack cannot stand on itself, and Pulumi would wait for what it says of itself."""
    if team.runs_on == "cluster" and team.platform.rpartition("/")[2] == name:
        yield SpecFault(
            (*where, "platform"),
            f"{shown(team.platform)} is this stack itself: leave it out for a cluster of its own, or name "
            "the stack that has one",
            _HERE,
        )


def _platform(team: TeamSpec, where: Where) -> Iterator[SpecFault]:
    if team.platform == OWN:
        return
    for field, what in (("cluster", "cluster"), ("network", "network"), ("storage", "file system")):
        if field in team.model_fields_set and (field != "storage" or team.storage.existing):
            yield SpecFault(
                (*where, field),
                f"is the platform's: {shown(team.platform)} has the {what}",
                frozenset({"platform"}),
            )


def endpoint_faults(endpoint: EndpointSpec, team: TeamSpec, where: Where) -> Iterator[SpecFault]:
    """Rules within one endpoint, and between it and the team."""
    if team.runs_on != "cluster":
        return
    if endpoint.image is not None and endpoint.image.registry is not None:
        yield SpecFault(
            (*where, "image", "registry"),
            "goes with runs_on: instances only: nodes pull from the account's ECR by their own right, so put "
            "the image there",
            _HERE,
        )
    for field in ("wake", "request"):
        seconds = getattr(endpoint.timeouts, field)
        if seconds > LONGEST_SILENCE:
            yield SpecFault(
                (*where, "timeouts", field),
                f"{seconds}s is longer than the load balancer keeps a silent connection: take "
                f"{LONGEST_SILENCE}s or less (the page draws longer, as it asks again)",
                _HERE,
            )
