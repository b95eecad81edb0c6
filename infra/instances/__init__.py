"""What runs as EC2 instances: the gateway, the replicas, and what they are told at boot."""
