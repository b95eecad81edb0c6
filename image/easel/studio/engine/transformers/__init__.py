"""Transformers that predict a flow: how each family's is built, filled from published files, and called."""
