"""Who waits for what, and whose turn it is."""
