"""What a device has room for, and what waits outside it."""
