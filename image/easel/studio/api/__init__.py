"""A1111's HTTP API, `/sdapi/v1/…`, in front of the engine.

Fields, answers and error bodies are A1111's, so that its clients work unchanged. What differs is that
everything is the caller's own: progress, interrupt, options and pictures of one caller are nobody else's.
"""

from easel.studio.api.app import create_api
