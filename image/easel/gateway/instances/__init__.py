"""Replicas as EC2 instances of one Auto Scaling group per endpoint (docs/reference/instances.md)."""

from easel.gateway.instances.backend import InstancesBackend
from easel.gateway.instances.patience import Patience

__all__ = ["InstancesBackend", "Patience"]
