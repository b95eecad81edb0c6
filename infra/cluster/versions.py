"""What is pinned of a cluster: its Kubernetes, and the driver of its volumes."""

VERSION = "1.36"
"""What easel is tested with (`tests/cluster`), and the newest that EKS had when that was written."""

DRIVER = "aws-efs-csi-driver"
"""EKS's add-on."""
DRIVER_VERSION = "v3.4.1-eksbuild.1"
"""The first whose schema was read, by others, to have the settings of `infra.cluster.volumes`. EKS's own
choice may be an older one, which refuses what it does not know."""
