"""What was accepted is drawn and kept, whatever becomes of the process that began it: the journal of it."""

from easel.studio.durable_jobs.journal import (
    KEPT,
    LOOK_EVERY,
    TAKEN,
    TOO_OLD,
    TRIES,
    Journal,
    JournalEntry,
)
