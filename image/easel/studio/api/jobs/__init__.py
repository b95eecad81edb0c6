"""Asynchronous requests: accepted with a ticket, drawn whatever dies, their results kept for an hour."""

from easel.studio.api.jobs.accepting import accepted, wants_async
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.jobs.routes import jobs_routes
from easel.studio.api.jobs.ticket import Ticket
