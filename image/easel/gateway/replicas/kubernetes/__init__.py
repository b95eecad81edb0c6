"""Replicas as pods of one Deployment per endpoint, scaled by KEDA (docs/reference/kubernetes.md).

Others import from here alone: the backend, its fuse, and what is followed of the namespace. Knows of the
fleet only what a backend promises it.
"""

from easel.gateway.replicas.kubernetes.backend import KubernetesBackend
from easel.gateway.replicas.kubernetes.fuse import Fuse
from easel.gateway.replicas.kubernetes.namespace import Namespace
