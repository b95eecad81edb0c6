"""Where clouds tell a machine its secrets."""

METADATA = (
    "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack
    "169.254.170.2",  # AWS: the credentials of an ECS task
    "169.254.170.23",  # AWS: the credentials of an EKS pod
    "169.254.0.23",  # Tencent
    "168.63.129.16",  # Azure
    "100.100.100.200",  # Alibaba
    "192.0.0.192",  # Oracle
    "fd00:ec2::254",  # AWS
    "fd00:ec2::23",  # AWS: the credentials of an EKS pod
    "fd20:ce::254",  # Google
    "fd00:c1::a9fe:a9fe",  # Oracle
    "fd00:42::42",  # Scaleway
)
