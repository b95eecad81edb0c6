"""What an account must have beside instances before `pulumi up` of a team: room for what AWS gives a few of
in each region, and EC2 Spot's own role. Told at preview; nothing of it is made or asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.spec import Spec
from infra.tags import TEAM

Tagged = Mapping[str, str] | None

SPOT_ROLE = "/aws-service-role/spot.amazonaws.com/"
"""The path of the role that EC2 starts spot instances by. Auto Scaling may make it, EKS may not ("Spot Fleet
permissions", service-linked role for Spot Instances; EC2 user guide)."""


@dataclass(frozen=True)
class Few:
    """What a region gives an account a few of: five of each until more are asked for ("Amazon VPC endpoints
    and quotas")."""

    noun: str
    service: str
    code: str
    """Of Service Quotas."""
    count: Callable[[Tagged], int]
    instead: str


VPCS = Few(
    "VPCs",
    "vpc",
    "L-F678F1CE",
    lambda tags: len(aws.ec2.get_vpcs(tags=tags).ids),
    ", or live in one that is there (`network: {vpc: vpc-…}`)",
)
ADDRESSES = Few(
    "Elastic IPs", "ec2", "L-0263D0A3", lambda tags: len(aws.ec2.get_eips(tags=tags).allocation_ids), ""
)


def show_readiness(spec: Spec) -> None:
    """Warn of what would stop `pulumi up` halfway, or a replica from ever starting."""
    if not pulumi.runtime.is_dry_run():
        return  # `pulumi up` has just shown it
    runs_on, team = spec.team.runs_on, spec.team
    if team.network.vpc is None and (runs_on == "instances" or team.platform == "own"):
        _check(VPCS, spec.name)
    if runs_on == "instances":
        _check(ADDRESSES, spec.name)
    elif any(one.capacity != "on-demand" for one in spec.endpoints.values()):
        _check_spot()


def _check(few: Few, team: str) -> None:
    try:
        taken, own = few.count(None), few.count({TEAM: team})
        allowed = aws.servicequotas.get_service_quota(service_code=few.service, quota_code=few.code).value
    except Exception as error:
        # Who may make them may not always list them: no reason to stop. The provider has no type for it.
        pulumi.log.debug(f"{few.noun}: {error}")
        return
    if own or taken < allowed:
        return
    pulumi.log.warn(
        f"The region has {taken} {few.noun} of this account and AWS allows {allowed:g}: the team's own will "
        f"be refused. Ask for more (`aws service-quotas request-service-quota-increase --service-code "
        f"{few.service} --quota-code {few.code} --desired-value {taken + 1}`){few.instead}"
    )


def _check_spot() -> None:
    try:
        there = aws.iam.get_roles(path_prefix=SPOT_ROLE).names
    except Exception as error:
        # As above.
        pulumi.log.debug(f"the role of EC2 Spot: {error}")
        return
    if not there:
        pulumi.log.warn(
            "The account has never had a spot instance, and EKS may not make the role that starts one: no "
            "replica with capacity: spot will start. Once for the account: "
            "`aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`"
        )
