"""A picture made larger, tile by tile."""
