"""What the page accepted is drawn and kept, whatever becomes of the process that began it."""

from easel.studio.durable_jobs.jobs import (
    LOOK_EVERY,
    TAKEN,
    TOO_OLD,
    TRIES,
    DurableJob,
    DurableJobs,
    JobNews,
    SavedPicture,
)
from easel.studio.durable_jobs.journal import KEPT, JobJournal, JobRecord, Journal, JournalEntry
