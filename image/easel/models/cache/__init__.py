"""Reading model files: in parallel from network storage, by way of a cache on this machine's own disk."""
