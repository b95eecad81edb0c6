"""The partitions of AWS: how a region's ARNs begin, and what the names of its services end in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Partition:
    """One of AWS's separate worlds."""

    id: str
    """As ARNs have it: `arn:<id>:…`."""
    regions: str
    """How the names of its regions begin."""
    domain: str
    """What hosts of its services end in: `secretsmanager.<region>.<domain>`."""
    dual_stack: str
    """What names end in that also answer by IPv6, where customers' names stand before the service's."""


COMMERCIAL = Partition("aws", "", "amazonaws.com", "on.aws")
PARTITIONS = (
    Partition("aws-cn", "cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
    Partition("aws-us-gov", "us-gov-", "amazonaws.com", "on.aws"),
    Partition("aws-eusc", "eusc-", "amazonaws.eu", "on.amazonwebservices.eu"),
    Partition("aws-iso", "us-iso-", "c2s.ic.gov", "on.aws.ic.gov"),
    Partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov", "on.aws.scloud"),
    Partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "on.cloud-aws.adc-e.uk"),
    Partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov", "on.aws.hci.ic.gov"),
    COMMERCIAL,
)
"""Those of botocore, which takes seconds to import; a test holds both together. The last is of all other
regions."""


def partition_of(region: str) -> Partition:
    """The partition that a region is in, by its name."""
    return next(one for one in PARTITIONS if region.startswith(one.regions))
