"""Whether calls of the backbone are recorded as CUDA graphs, and why they are not where it was asked for.

Light: imports no torch.
"""

from __future__ import annotations

import structlog

from easel.remark import remark

log = structlog.get_logger(__name__)


class Recording:
    """Of one engine. Its thread records; `why` may be read from any."""

    def __init__(self, asked: bool = False) -> None:
        self._asked = asked
        self.why = ""
        """Why calls are made as they are written, though the endpoint asks for CUDA graphs; "" where it does
        not, or they are recorded."""

    @property
    def how(self) -> str:
        """What times of calls are kept apart by; "" where nothing is recorded."""
        return "recorded" if self._asked else ""

    def begins(self, file: str, device: str) -> bool:
        """A checkpoint serves from now on: whether its calls are to be recorded on this kind of device."""
        self.why = ""
        if self._asked and device != "cuda":
            words = "CUDA graphs are for an NVIDIA GPU, and this draws on a {device}"
            self.ends(file, remark("no_graphs_here", words, device=device.upper()))
        return self._asked and not self.why

    def ends(self, file: str, reason: str) -> None:
        """They could not be: what serves is drawn as it is written until another one does."""
        log.warning("not recorded: drawn as it is written", file=file, reason=str(reason))
        self.why = remark("not_recorded", "no CUDA graphs: {why}", why=reason)
