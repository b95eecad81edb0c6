"""What can be asked of the engine, and how much of it."""
