"""Where AWS says which machine image is its newest, for the program and for `easel doctor`."""

from typing import Literal

Kind = Literal["gateway", "gpu"]

NEWEST: dict[Kind, str] = {
    "gateway": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    # With NVIDIA's driver and container runtime in it, so that nothing is installed while a GPU is paid for.
    "gpu": "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
}
"""AWS's public parameters with the newest image of each kind. Both are Amazon Linux 2023 for x86."""
