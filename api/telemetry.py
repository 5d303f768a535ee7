"""What this process counts of itself, for Prometheus. Each server process has its own."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    """Counters of one application, in a registry of their own. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "hpsearch_request_seconds",
            "Requests by method, operation and status; long polls and streams wait on purpose",
            ["method", "operation", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "hpsearch_refused_total", "Requests without a good token", ["status"], registry=self.registry
        )
        self.lost = Counter(
            "hpsearch_leases_lost_total", "Leases that the reaper ended", registry=self.registry
        )
        self.failed_ticks = Counter(
            "hpsearch_reaper_failures_total", "Ticks of the reaper that failed", registry=self.registry
        )

    def exposition(self, counts: Mapping[str, Mapping[str, int]]) -> bytes:
        """Prometheus's text: `counts` as gauges by state, then this process's own numbers."""
        of_the_database = CollectorRegistry()
        of_the_database.register(_Counts(counts))
        return bytes(generate_latest(of_the_database) + generate_latest(self.registry))


class _Counts(Collector):
    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, by_state in self._counts.items():
            family = GaugeMetricFamily(f"hpsearch_{name}", f"{name.capitalize()} by state", labels=["state"])
            for state, count in by_state.items():
                family.add_metric([state], count)
            yield family
