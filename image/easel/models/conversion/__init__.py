"""Pickles (`.ckpt`, `.pt`, `.bin`) into safetensors, on explicit request only."""
