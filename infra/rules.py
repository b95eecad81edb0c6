"""What must hold between the fields of a spec. Each rule says what is wrong and what to take instead."""

import re
from collections.abc import Iterator

from infra import kubernetes_rules, open_secrets
from infra.checkpoints import family_of, smallest_that_holds
from infra.cluster import rules as cluster
from infra.faults import SpecFault, Where, shown
from infra.names import reserved_label
from infra.shapes import FAMILIES, SHAPES
from infra.spec import EndpointSpec, Spec, TeamSpec

TEAM: Where = ("easel:team",)
ENDPOINTS: Where = ("easel:endpoints",)
RUNS_ON = frozenset({"runs_on"})

ENTRA_TENANT = re.compile(
    r"https://login\.(microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn)"
    r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/v2\.0"
)
"""The issuer of one tenant of Microsoft Entra, by its id, as the gateway has it too: those of `common` and
`organizations` vouch for anybody's tenant."""


def team_faults(team: TeamSpec) -> Iterator[SpecFault]:
    """Rules within the team's own fields."""
    if team.runs_on != "local" and team.domain is None:
        yield SpecFault(
            (*TEAM, "domain"),
            f"is missing: with runs_on: {team.runs_on} endpoints need a domain to answer at, "
            "such as art.example.com",
            RUNS_ON,
        )
    if team.domain:
        yield from _certified((*TEAM, "domain"), team.domain, team)
    yield from _members(team)
    yield from kubernetes_rules.team_faults(team)
    if team.platform != "own" and team.runs_on != "cluster":
        yield SpecFault(
            (*TEAM, "platform"),
            f"{shown(team.platform)} goes with runs_on: cluster only; here runs_on is {team.runs_on}",
            RUNS_ON,
        )
    yield from cluster.team_faults(team, TEAM)


def _certified(where: Where, name: str, team: TeamSpec) -> Iterator[SpecFault]:
    """Where each host has a certificate of its own, and of a public authority."""
    if team.runs_on == "instances" and team.acme is None and (label := reserved_label(name)):
        yield SpecFault(
            where,
            f"{shown(label)} has hyphens as its third and fourth character, which the DNS keeps for names in "
            "other scripts: no public authority gives it a certificate, so take another name",
            RUNS_ON | {"acme"},
        )


def _members(team: TeamSpec) -> Iterator[SpecFault]:
    """Who says that an address is its owner's must be known: only a tenant's own issuer says xms_edov."""
    members = team.members
    if members and members.verified_by == "xms_edov" and not ENTRA_TENANT.fullmatch(members.issuer):
        yield SpecFault(
            (*TEAM, "members", "verified_by"),
            "xms_edov is a claim of Microsoft Entra, and counts from one tenant only: write its own issuer, "
            "https://login.microsoftonline.com/<the tenant's id>/v2.0, not common or organizations",
            frozenset({"members"}),
        )


def endpoint_faults(name: str, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    """Rules within one endpoint, and between it and the team."""
    here = (*ENDPOINTS, name)
    yield from _certified(here, name, team)
    yield from _replicas(here, endpoint)
    yield from _variables(here, endpoint)
    yield from _image(here, endpoint)
    yield from _models(here, endpoint, team)
    yield from _files(here, endpoint, team)
    yield from _place(here, endpoint, team)
    yield from cluster.endpoint_faults(endpoint, team, here)
    yield from open_secrets.endpoint_faults(here, endpoint, team)
    yield from kubernetes_rules.endpoint_faults(here, endpoint, team)


def unused_on_one_machine(spec: Spec) -> list[str]:
    """Fields of a stack that one machine does nothing with. They are no fault, but ignoring them is said."""
    team = (
        *("domain", "zone", "acme", "budget", "network", "iam", "storage", "machine_images", "image"),
        "kubernetes",
    )
    found = [SpecFault((*TEAM, field), "") for field in team if field in spec.team.model_fields_set]
    for name, endpoint in spec.endpoints.items():
        for field in ("capacity", "storage"):
            if field in endpoint.model_fields_set:
                found.append(SpecFault((*ENDPOINTS, name, field), ""))
    return [fault.path for fault in found]


def _replicas(here: Where, endpoint: EndpointSpec) -> Iterator[SpecFault]:
    low, high = endpoint.replicas.min, endpoint.replicas.max
    if high < low:
        yield SpecFault(
            (*here, "replicas", "max"), f"{high} is below min, which is {low}: raise max or lower min"
        )
    if endpoint.warm > high:
        yield SpecFault(
            (*here, "warm"),
            f"{endpoint.warm} is more than replicas.max, which is {high}",
            frozenset({"replicas"}),
        )
    if endpoint.warm and endpoint.capacity != "on-demand":
        yield SpecFault(
            (*here, "warm"),
            f"{endpoint.warm} does not go with capacity: {endpoint.capacity}, as AWS keeps only on-demand "
            "instances warm: take capacity: on-demand, or warm: 0",
            frozenset({"capacity"}),
        )


def _variables(here: Where, endpoint: EndpointSpec) -> Iterator[SpecFault]:
    for name in sorted(endpoint.env.keys() & endpoint.secrets.keys()):
        yield SpecFault(
            (*here, "secrets", name), "is in env too: take it out of one of them", frozenset({"env"})
        )


def _image(here: Where, endpoint: EndpointSpec) -> Iterator[SpecFault]:
    if endpoint.image is None:
        return
    if endpoint.image.port is None:
        yield SpecFault(
            (*here, "image", "port"), "is missing: a container of your own must say which port it listens on"
        )
    seen: set[str] = set()
    for index, mount in enumerate(endpoint.image.mounts):
        if mount.path in seen:
            yield SpecFault(
                (*here, "image", "mounts", index, "path"), f"{shown(mount.path)} is mounted twice"
            )
        seen.add(mount.path)
    for field in ("checkpoint", "exact"):
        if getattr(endpoint, field):
            yield SpecFault(
                (*here, field),
                "is for easel's studio, and this endpoint runs a container of its own: tell it by env or "
                "command",
                frozenset({"image"}),
            )


def _models(here: Where, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    if team.runs_on == "local" and SHAPES[endpoint.shape].gpu is None:
        return  # here the machine itself is the limit, and the studio says so when it loads
    shape = SHAPES[endpoint.shape]
    for index, address in enumerate(endpoint.models):
        family = family_of(address)
        if family and family not in shape.holds:
            instead = smallest_that_holds(family)
            yield SpecFault(
                (*here, "models", index),
                f"{shown(address)} is {family}, which needs {FAMILIES[family]:g} GiB; {shape.name} has "
                f"{shape.memory:g}: take shape: {instead.name} (${instead.price:.2f} an hour)",
                RUNS_ON | {"shape"},
            )


def _files(here: Where, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    if team.runs_on == "local":
        return
    for index, address in enumerate(endpoint.models):
        if address.startswith("file:"):
            yield SpecFault(
                (*here, "models", index),
                f"{shown(address)} is a file of one machine, and not of those of replicas: send it there "
                "when it runs (`easel upload`), or put it into a bucket and write s3://bucket/key",
                RUNS_ON,
            )


def _place(here: Where, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    shape = SHAPES[endpoint.shape]
    if team.runs_on == "instances" and shape.only_by > 1:
        yield SpecFault(
            (*here, "shape"),
            f"{shown(shape.name)}: AWS sells this GPU only {shape.only_by} at a time, for ${shape.price:.2f} "
            f"an hour: take gpu.l40s (48 GB, ${SHAPES['gpu.l40s'].price:.2f}) or gpu.h100 (80 GB, "
            f"${SHAPES['gpu.h100'].price:.2f}), or runs_on: cluster, where endpoints share the machine",
            RUNS_ON,
        )
    if endpoint.warm and team.runs_on != "instances":
        yield SpecFault(
            (*here, "warm"), f"{endpoint.warm} goes with runs_on: instances only; take warm: 0", RUNS_ON
        )
    if team.runs_on == "local":
        if endpoint.image is not None:
            yield SpecFault(
                (*here, "image"), "is not for runs_on: local, where the studio runs without a container"
            )
        if endpoint.secrets:
            yield SpecFault(
                (*here, "secrets"),
                "are read from AWS and not for runs_on: local: set them in the shell that runs `make up`",
                RUNS_ON,
            )
