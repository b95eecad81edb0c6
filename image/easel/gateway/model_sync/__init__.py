"""Brings an endpoint's `models:` into the store before a GPU is paid for, by `easel.models sync`.

Others ask how an endpoint's models are, and whether it has to wait for them.
"""

from easel.gateway.model_sync.status import ModelStatus
from easel.gateway.model_sync.sync import SOURCE_TOKENS, ModelSync
