"""What the page accepted is drawn and kept, whatever becomes of the process that began it."""

from easel.studio.durable_jobs.jobs import DurableJob, DurableJobs, Notice, SavedPicture
from easel.studio.durable_jobs.journal import JobJournal, JobRecord

__all__ = ["DurableJob", "DurableJobs", "JobJournal", "JobRecord", "Notice", "SavedPicture"]
