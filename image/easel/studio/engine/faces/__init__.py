"""Faces: found, and restored."""
