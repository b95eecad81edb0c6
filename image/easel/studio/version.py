"""Which Easel this is."""

import os
from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("easel")
    except PackageNotFoundError:
        # In the container the package lies on the path and is not installed.
        return os.environ["EASEL_VERSION"]


VERSION = _installed()
