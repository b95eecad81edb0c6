"""What `pulumi preview` tells before anything is bought: costs, and whether AWS's quotas allow them."""

import pulumi
import pulumi_aws as aws

from infra.bill import bill_of
from infra.budget import ACTIVATE
from infra.cost import VcpuQuota, Vcpus
from infra.spec import Spec


def show_costs(spec: Spec) -> None:
    """Log the table of costs, and a warning for each quota that the team's most replicas do not fit into."""
    if not pulumi.runtime.is_dry_run():
        return  # `pulumi up` has just shown it
    bill = bill_of(spec)
    pulumi.log.info(f"What it costs:\n{bill.table(spec)}")
    for quota, needed in bill.vcpus(spec).items():
        _check(quota, needed)
    if spec.team.budget:
        pulumi.log.info(ACTIVATE)


def _check(quota: VcpuQuota, vcpus: Vcpus) -> None:
    needed, more = vcpus.needed, vcpus.more
    allowed = _allowed(quota)
    if allowed is None:
        pulumi.log.info(f"{needed} vCPUs of {quota.what} at most{more}; what AWS allows could not be read")
    elif needed <= allowed:
        pulumi.log.info(f"{needed} of {allowed} vCPUs of {quota.what} at most ({quota.code}){more}")
    else:
        region = aws.get_region().region
        pulumi.log.warn(
            f"The replicas need {needed} vCPUs of {quota.what} at most{more}, and AWS allows {allowed}: "
            f"{'those over it' if allowed >= vcpus.least else 'some'} will not start. Ask for more (hours to "
            f"days): https://console.aws.amazon.com/servicequotas/home?region={region}#!/services/ec2/quotas/{quota.code}"
        )


def _allowed(quota: VcpuQuota) -> int | None:
    try:
        found = aws.servicequotas.get_service_quota(service_code="ec2", quota_code=quota.code)
    except Exception as error:
        # A role may well not be allowed to read quotas: that must not stop a preview. The provider has no
        # type for it.
        pulumi.log.debug(f"{quota.code}: {error}")
        return None
    return int(found.value)
