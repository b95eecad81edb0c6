"""The regions of AWS, by name: Pulumi takes anything for one, and the first lookup finds no host."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.faults import SpecFault, nearest, shown

REGION, SKIP = "aws:region", "aws:skipRegionValidation"

REGIONS = frozenset({
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1",
    "cn-northwest-1", "eu-central-1", "eu-central-2", "eu-isoe-west-1", "eu-north-1", "eu-south-1",
    "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "eusc-de-east-1", "il-central-1", "me-central-1",
    "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1",
    "us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-east-1",
    "us-isof-south-1", "us-west-1", "us-west-2",
})  # fmt: skip
"""Those of botocore and of pulumi-aws, which take seconds to import; a test holds the three together."""


def region_faults(config: Mapping[Any, Any]) -> Iterator[SpecFault]:
    """Whether `aws:region` of a stack's configuration is a region; without one there is no fault."""
    value = config.get(REGION)
    if value is None or str(value) in REGIONS or str(config.get(SKIP)).lower() == "true":
        return
    near = nearest(str(value), REGIONS)
    newer = f"For one that is newer than this easel: {SKIP}: true"
    yield SpecFault((REGION,), f"{shown(value)} is not a region of AWS{near or '.'} {newer}")
