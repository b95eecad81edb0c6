"""How many pictures one call of the backbone takes: measured, kept on disk, and told with its reason."""
