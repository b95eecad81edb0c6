"""What a gateway on AWS is made of, beside its replicas."""
