"""The region that replicas are tested against is also that of buckets and secrets."""

from tests.gateway.replicas.aws.conftest import aws, build, place, region

__all__ = ["aws", "build", "place", "region"]
