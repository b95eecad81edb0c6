"""All metrics of one studio, and their text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from easel.studio.activity import Activity
from easel.studio.engine import Engine
from easel.studio.metrics.engine_metrics import EngineMetrics
from easel.studio.metrics.request_metrics import RequestMetrics
from easel.studio.metrics.state_collector import StateCollector


class StudioMetrics:
    """Counts from now on. One for each studio: a registry of its own, as tests have several in a process."""

    def __init__(self, engine: Engine, activity: Activity) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        engine.observe(EngineMetrics(self._registry))
        self._registry.register(StateCollector(engine.status, activity))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """All of it for a scraper with this `Accept`: OpenMetrics where it asks for that, else Prometheus'
        text format. Bytes and their media type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind
