"""What a device does in one piece, and how long it takes."""
