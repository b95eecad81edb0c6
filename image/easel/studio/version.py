"""Which Easel this is."""

from importlib.metadata import version

VERSION = version("easel")
