"""Replicas as EC2 instances of one Auto Scaling group per endpoint (docs/reference/instances.md).

Others import from here alone: the backend. boto3 is loaded by the first call.
Knows of the fleet only what a backend promises it.
"""

from easel.gateway.replicas.aws.backend import InstancesBackend
from easel.gateway.replicas.aws.inventory import TEAM
