"""The deployment that a gateway was started with."""

from __future__ import annotations

from collections.abc import Callable

from easel.gateway.deployment.deployment import Deployment
from easel.gateway.events import Events
from easel.gateway.home import Home


def aws_deployment(bucket: str, region: str) -> Callable[[Home, Events], Deployment]:
    """Makes the deployment on AWS of the team whose configuration is in `bucket`."""

    def deployment(home: Home, events: Events) -> Deployment:
        # Only here: what speaks to AWS is not what a laptop needs to open the door.
        from easel.gateway.deployment.aws import AwsDeployment

        return AwsDeployment(home, events, bucket, region)

    return deployment
