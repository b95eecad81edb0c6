"""What Prometheus is told: of the gateway itself, and of each replica in the replica's own words.

To who may operate: the console's tokens and the operator's key. Looking asks nothing of an endpoint that
would wake it or keep it awake (docs/decisions/0048-metrics-are-the-operators.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from easel.gateway import pages
from easel.gateway.console.endpoints import Endpoints
from easel.gateway.counts import OUTCOMES, Counts
from easel.gateway.errors import UnknownEndpoint
from easel.gateway.replicas import Fleet, Probe, Replica, ReplicaState, Vouch
from easel.remark import remark

STATES: tuple[ReplicaState, ...] = ("asleep", "starting", "loading", "ready", "draining", "failed")
# Seconds for a replica to say how it does; Prometheus itself gives up after ten.
_PATIENCE = 8.0
_AS_TOLD = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class MetricsApi:
    """The handlers; who may call them is the app's business."""

    def __init__(self, endpoints: Endpoints, counts: Counts, vouch: Vouch) -> None:
        self._fleets = endpoints.fleets
        self._probe = Probe(_PATIENCE, vouch)
        self._registry = CollectorRegistry()
        self._registry.register(GatewayCollector(endpoints.fleets, counts))
        ProcessCollector(registry=self._registry)

    async def get_own(self, request: Request) -> Response:
        """`GET /api/metrics`: the gateway's own."""
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return _text(encode(self._registry), kind)

    async def get_targets(self, request: Request) -> Response:
        """`GET /api/metrics/targets`: what there is to scrape now, for Prometheus' `http_sd_configs`."""
        host = request.headers.get("host", "")
        targets = [{"targets": [host], "labels": {"__metrics_path__": "/api/metrics"}}]
        for name, fleet in self._fleets.items():
            for replica in fleet.replicas:
                if _speaks(fleet, replica):
                    where = f"/api/metrics/{name}/{replica.id}"
                    labels = {"__metrics_path__": where, "endpoint": name, "replica": replica.id}
                    targets.append({"targets": [host], "labels": labels})
        return pages.data(targets)

    async def get_replica(self, request: Request) -> Response:
        """`GET /api/metrics/{endpoint}/{replica}`: a studio's own, as it says it."""
        name, number = request.path_params["endpoint"], request.path_params["replica"]
        fleet = self._fleets.get(name)
        if fleet is None:
            raise UnknownEndpoint(
                remark("endpoint_not_there", "there is no endpoint {name}", name=repr(name))
            )
        replica = next((one for one in fleet.replicas if one.id == number), None)
        if replica is None or not _speaks(fleet, replica):
            return pages.error(404, f"{name} has no replica {number!r} that tells metrics now")
        said = await self._probe.metrics(name, replica.address or "", request.headers.get("accept", ""))
        if said is None:
            return pages.error(503, f"{name}'s replica {number} does not tell them: it starts, or ends")
        return _text(*said)


class GatewayCollector(Collector):
    """Metric families of what was counted, and of how the fleets stand."""

    def __init__(self, fleets: Mapping[str, Fleet], counts: Counts) -> None:
        self._fleets, self._counts = fleets, counts

    def collect(self) -> Iterable[Metric]:
        """Ask everybody now."""
        yield from self._counted()
        yield from self._states()

    def _counted(self) -> Iterable[Metric]:
        counts = self._counts
        # There before they happen: of a series that begins with 1 Prometheus sees no increase.
        for name in self._fleets:
            for kind in ("waking", "failed", "crashed", "gave-up"):
                counts.events[name, kind] += 0
            for outcome in OUTCOMES:
                counts.held[name, outcome] += 0
        for name, words, label, counted in (
            ("door_answers", "What the door answered itself: refusals, pages, waits.", "status", counts.door),
            ("requests", "Requests that passed, by the replica's answer.", "status", counts.replicas),
            ("refusals", "Callers whom the door refused, with a wrong key.", "status", counts.refused),
            ("events", "Events of endpoints: waking, ready, failed, asleep.", "kind", counts.events),
            ("relay_bytes", "Bytes of requests and answers, heads included.", "to", counts.bytes),
        ):
            yield _counter(f"easel_gateway_{name}", words, label, counted)
        held = SummaryMetricFamily(
            "easel_gateway_held_seconds", "How long requests waited for a replica, served in the end or not.",
            labels=("endpoint", "outcome"),
        )  # fmt: skip
        for key, count in counts.held.items():
            held.add_metric(key, count_value=count, sum_value=counts.held_seconds[key])
        yield held

    def _states(self) -> Iterable[Metric]:
        opened = GaugeMetricFamily(
            "easel_gateway_requests_open", "Requests with a replica now.", labels=("endpoint",)
        )
        held = GaugeMetricFamily(
            "easel_gateway_requests_held", "Requests that wait for a replica.", labels=("endpoint",)
        )
        state = GaugeMetricFamily(
            "easel_gateway_endpoint_state", "1 for an endpoint's state, 0 for the others.",
            labels=("endpoint", "state"),
        )  # fmt: skip
        replicas = GaugeMetricFamily(
            "easel_gateway_replicas", "Replicas by their state.", labels=("endpoint", "state")
        )
        pictures = GaugeMetricFamily(
            "easel_gateway_pictures", "Pictures of all replicas, by what they do.",
            labels=("endpoint", "state"),
        )  # fmt: skip
        for name, fleet in self._fleets.items():
            opened.add_metric((name,), self._counts.open[name])
            held.add_metric((name,), fleet.waiting)
            found = Counter(one.state for one in fleet.replicas)
            for one in STATES:
                state.add_metric((name, one), float(one == fleet.state))
                if one != "asleep":
                    replicas.add_metric((name, one), found[one])
            work = [one.work for one in fleet.replicas if one.work is not None]
            pictures.add_metric((name, "drawing"), sum(one.running for one in work))
            pictures.add_metric((name, "waiting"), sum(one.queued for one in work))
        yield from (opened, held, state, replicas, pictures)


def _speaks(fleet: Fleet, replica: Replica) -> bool:
    """Whether it is a studio of Easel's, and there: a container of somebody else's may tell anything."""
    container = fleet.endpoint.container
    return (
        replica.state in ("ready", "draining")
        and replica.address is not None
        and (container is None or container.load == "easel")
    )


def _counter(name: str, words: str, label: str, counted: Mapping[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(name, words, labels=("endpoint", label))
    for key, count in counted.items():
        family.add_metric(key, count)
    return family


def _text(body: bytes, kind: str) -> Response:
    return Response(body, headers=_AS_TOLD | {"Content-Type": kind})
