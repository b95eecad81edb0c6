"""The Kubernetes of clusters."""

VERSION = "1.36"
"""What easel is tested with (`tests/cluster`), and the newest that EKS had when that was written."""
