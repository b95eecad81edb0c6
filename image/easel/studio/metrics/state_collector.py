"""How the studio stands, looked up when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from easel.studio.activity import Activity
from easel.studio.engine import Status
from easel.studio.version import VERSION

PHASES = ("importing", "loading", "ready", "failed")


class StateCollector(Collector):
    """Gauges of `status` and `activity`, of the device's memory, and what is built here."""

    def __init__(self, status: Callable[[], Status], activity: Activity) -> None:
        self._status, self._activity = status, activity

    def collect(self) -> Iterable[Metric]:
        """Ask everybody now."""
        now = self._status()
        yield InfoMetricFamily(
            "easel_build", "Which Easel this is, and on what it draws.",
            {"version": VERSION, "device": now.device or "none"},
        )  # fmt: skip
        phase = GaugeMetricFamily(
            "easel_phase", "1 for the phase that the engine is in, 0 for the others.", labels=("phase",)
        )
        for name in PHASES:
            phase.add_metric((name,), float(name == now.phase))
        yield phase
        yield _gauge("easel_pictures_waiting", "Pictures that wait for their turn.", now.queued)
        yield _gauge("easel_pictures_drawing", "Pictures under way.", now.running)
        yield _gauge(
            "easel_batch_width", "Pictures like those drawn last that one call of the backbone may have.",
            now.width,
        )  # fmt: skip
        yield _gauge("easel_transfers", "Files that are being sent or fetched.", self._activity.running)
        yield _gauge(
            "easel_idle_seconds", "Seconds without a picture and without a transfer.",
            self._activity.idle_seconds(now.idle_seconds),
        )  # fmt: skip
        yield from _device_memory()


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)


def _device_memory() -> Iterable[Metric]:
    # Not imported: a look must not be what brings torch in.
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return
        free, total = torch.cuda.mem_get_info()
        used = {"allocated": torch.cuda.memory_allocated(), "reserved": torch.cuda.memory_reserved()}
    except (AttributeError, RuntimeError):  # half imported, or the device is lost
        return
    yield _gauge("easel_device_memory_bytes", "Memory of the GPU.", total)
    yield _gauge("easel_device_memory_free_bytes", "Memory of the GPU that nobody has.", free)
    ours = GaugeMetricFamily(
        "easel_device_memory_held_bytes", "Memory of the GPU that this process holds.", labels=("state",)
    )
    for state, count in used.items():
        ours.add_metric((state,), count)
    yield ours
