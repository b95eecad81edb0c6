"""Instances: the suite for all backends, against a region on this machine."""

from __future__ import annotations

from tests.gateway.replicas.backend_suite import BackendSuite


class TestInstancesBackend(BackendSuite):
    """The suite, with instances of an Auto Scaling group."""
