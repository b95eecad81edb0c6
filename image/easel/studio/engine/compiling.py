"""Whether what backbones repeat is compiled (`compiled_blocks`), and why it is not where it was asked for.

Inductor writes its kernels when they are first called for: for a GPU in Triton's language, whose door to
the driver is C that includes Python's headers, and for a CPU in C++. So it takes a compiler where it draws.
Light: imports no torch.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import structlog

from easel.remark import remark

log = structlog.get_logger(__name__)

_GPU = "cuda"


class Compiling:
    """Of one engine. Its thread compiles; `why` may be read from any."""

    def __init__(self, asked: bool = False) -> None:
        self._asked = asked
        self.why = ""
        """Why what serves is drawn as it is written, though the endpoint asks for compiled blocks; "" where
        it does not, or they are compiled."""

    @property
    def how(self) -> str:
        """What times of calls are kept apart by; "" where nothing is compiled."""
        return "compiled" if self._asked else ""

    def begins(self, file: str, device: str) -> bool:
        """A checkpoint serves from now on: whether its blocks are to be compiled on this kind of device.
        Where the compiler is not here nothing is tried, and the log says so."""
        self.why = ""
        if self._asked and (lacks := missing_compiler(device)):
            self.ends(file, lacks)
        return self._asked and not self.why

    def ends(self, file: str, reason: str) -> None:
        """They could not be: what serves is drawn as it is written until another one does."""
        log.warning("not compiled: drawn as it is written", file=file, reason=str(reason))
        self.why = remark("not_compiled", "not compiled: {why}", why=reason)


def missing_compiler(device: str) -> str:
    """What of a compiler for this kind of device ("cuda" or "cpu") is not here; "" where all is."""
    variable, usual = ("CC", ("gcc", "clang")) if device == _GPU else ("CXX", ("g++",))
    named = os.environ.get(variable)
    if not any(shutil.which(one) for one in ([named] if named else usual)):
        return remark(
            "no_compiler",
            "there is no {language} compiler: {looked_for}; install one, or name it by {variable}",
            language="C" if device == _GPU else "C++", variable=variable,
            looked_for=named or " / ".join(usual),
        )  # fmt: skip
    # what triton includes, by its own rule
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")
    headers = Path(sysconfig.get_paths(scheme=scheme)["include"])
    if device == _GPU and not (headers / "Python.h").exists():
        words = "Python's headers are not here: {file}; Debian has them in {package}"
        return remark("no_headers", words, file=headers / "Python.h", package="python3-dev")
    return ""
