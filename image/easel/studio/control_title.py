"""How a ControlNet's file is called: in lists, in requests and in infotexts."""

from __future__ import annotations

from easel.models import ModelFile


def control_title(file: ModelFile) -> str:
    """Name and hash, "control_v11p_sd15_canny [d14c016b]"; the hash is A1111's of checkpoints, and left out
    until it is known."""
    return f"{file.stem} [{file.hash}]" if file.hash else file.stem
