"""Models in from page and API: what is at an address, downloads that go on by themselves, what is there."""

from easel.studio.library.background_job import FINAL, BackgroundJob, JobView
from easel.studio.library.background_jobs import NoSuchJob, TooManyJobs
from easel.studio.library.card import Card
from easel.studio.library.editing import ModelEditor, NoSuchModel, StillWanted
from easel.studio.library.library import KINDS, Downloaded, Library
from easel.studio.library.previews import NoPicture
from easel.studio.library.remote_jobs import RemoteJob
from easel.studio.library.stored_models import StoredModel, seen_with
