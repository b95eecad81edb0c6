"""What a call of the device fails with, as an error of the one picture that it was made for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from easel.remark import remark
from easel.studio.engine.errors import EngineError, OutOfMemory, UpscalerFailed
from easel.studio.engine.memory.device_memory import forget_frames, give_back, is_out_of_memory
from easel.studio.engine.picture import Picture


@contextmanager
def network_errors(picture: Picture, what: str) -> Iterator[None]:
    """What a stranger's network stumbles over ends the job that chose it, and no other."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        words = remark(
            "network_failed",
            "the {what} failed: {why}; choose another one",
            what=what,
            why=f"{type(error).__name__}: {str(error)[:200]}",
        )
        raise UpscalerFailed(words, picture.job.id) from error


@contextmanager
def memory_errors(picture: Picture, device: torch.device) -> Iterator[None]:
    """Out of memory in the words of somebody who has to do something about it; nothing of the failed call
    stays, whoever keeps the error."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        forget_frames(error)
    else:
        return
    give_back(device)
    last = picture.job.request.passes()[-1]
    raise OutOfMemory(
        remark(
            "out_of_memory",
            "no memory for a picture of {size}; "
            "draw it smaller, or give the endpoint a shape with more memory",
            about="width",
            size=f"{last.width}x{last.height}",
        ),
        picture.job.id,
    )
