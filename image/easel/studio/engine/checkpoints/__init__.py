"""A checkpoint and its parts: what it is made of, and which one is meant."""
