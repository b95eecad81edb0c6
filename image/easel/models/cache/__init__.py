"""Reading model files: in parallel from network storage, by way of a cache on this machine's own disk."""

from easel.models.cache.cache import Cache, cache_from_environment
from easel.models.cache.opening import open_model
from easel.models.cache.reader import FileReader, Reader
from easel.models.cache.size import cache_size
from easel.models.cache.storage import is_network

__all__ = [
    "Cache",
    "FileReader",
    "Reader",
    "cache_from_environment",
    "cache_size",
    "is_network",
    "open_model",
]
