"""Calls of the backbone that a GPU was shown once, and makes again by itself."""
