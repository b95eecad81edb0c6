"""A1111's scripts: those that are always on, and those that a request names."""
