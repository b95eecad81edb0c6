"""Models in and out of the store: added, matched with a list, verified, removed."""
