"""Pickles (`.ckpt`, `.pt`, `.bin`) into safetensors, on explicit request only."""

from easel.models.conversion.convert import Converted, NotConverted, convert

__all__ = ["Converted", "NotConverted", "convert"]
