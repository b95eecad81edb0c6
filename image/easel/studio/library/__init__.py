"""Models in from page and API: what is at an address, downloads that go on by themselves, what is there."""

from easel.studio.library.board import Posted
from easel.studio.library.card import Card
from easel.studio.library.job import FINAL, Fault, Job, JobView, State
from easel.studio.library.jobs import NoSuchJob, NotYours, TooManyJobs
from easel.studio.library.library import KINDS, Downloaded, Library
from easel.studio.library.pictures import NoPicture

__all__ = [
    "FINAL",
    "KINDS",
    "Card",
    "Downloaded",
    "Fault",
    "Job",
    "JobView",
    "Library",
    "NoPicture",
    "NoSuchJob",
    "NotYours",
    "Posted",
    "State",
    "TooManyJobs",
]
