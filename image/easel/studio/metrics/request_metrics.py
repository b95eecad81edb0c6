"""Counts requests, by the templates of routes and never by what was asked for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Counters and histograms of `registry`. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "easel_http_requests", "Answers by route, method and status; 499 where the caller hung up.",
            ("route", "method", "status"), registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "easel_http_request_seconds", "Until the last byte of an answer.", ("route", "method"),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._received = Counter(
            "easel_http_request_bytes", "Bytes of bodies received: uploads are below /files/uploads.",
            ("route",), registry=registry,
        )  # fmt: skip
        self._sent = Counter(
            "easel_http_response_bytes", "Bytes of bodies sent: downloads are /files/content.",
            ("route",), registry=registry,
        )  # fmt: skip
        self.open = Gauge("easel_http_requests_open", "Requests under way.", registry=registry)

    def count(
        self, route: str, method: str, status: int, *, seconds: float, received: int, sent: int
    ) -> None:
        """One request is over. `route` is a template."""
        verb = method if method in _METHODS else "other"
        self._requests.labels(route, verb, str(status)).inc()
        self._seconds.labels(route, verb).observe(seconds)
        self._received.labels(route).inc(received)
        self._sent.labels(route).inc(sent)
