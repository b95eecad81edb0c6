"""What every place to run says of a replica, in the same words everywhere."""

from __future__ import annotations

from easel.remark import figure, remark

READY = remark("replica_ready", "ready")
STOPPING = remark("replica_stopping", "stopping")
FINISHING = remark("replica_finishing", "finishing its pictures")
KEPT = remark("replica_kept", "kept: it is wanted again")
LOADING = remark("replica_loading", "loading the checkpoint")
IMPORTING = remark("replica_importing", "importing")
FAILED = remark("replica_failed", "the container says it failed, and not why: read its log")
STUDIO_FAILED = remark("studio_failed", "the studio says it failed, and not why: read its log")
# Seconds of silence that are worth a word: a busy container may miss a look.
_NOTICED = 10.0


def ready_after(seconds: float) -> str:
    """It took so long."""
    return remark("replica_ready_after", "ready after {n} s", n=figure(seconds, ".0f"))


def silent(seconds: float, before: str) -> str:
    """It has not answered for so long, which is nothing yet; while that is short, what was said `before`."""
    if before and seconds <= _NOTICED:
        return before
    return remark("replica_silent", "has not answered for {n} s", n=figure(seconds, ".0f"))


def hangs(seconds: float) -> str:
    """It has not answered for too long."""
    words = "hangs: its container has not answered for {n} s"
    return remark("replica_hangs", words, n=figure(seconds, ".0f"))
