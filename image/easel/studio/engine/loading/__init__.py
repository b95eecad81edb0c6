"""From a file to modules that draw: what fits is counted, then read, placed and kept."""
