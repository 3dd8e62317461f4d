"""What the collector counts about itself, kept as plain numbers and turned into Prometheus' form when asked."""

from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as PrometheusCollector
from prometheus_client.registry import CollectorRegistry

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics(PrometheusCollector):
    """Counters of the request path, and gauges read from the other parts at scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers: dict[tuple[str, int], int] = {}
        self.accepted: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.minted = 0
        self.body_bytes = 0
        self.seconds = Histogram(
            "watershed_collector_request_seconds",
            "Time from a request's arrival to its answer.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.gauges: list[tuple[str, str, Callable[[], float]]] = []
        self.counters: list[tuple[str, str, Callable[[], float]]] = []
        self.registry.register(self)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        key = (route, status)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """All of it, for a scrape."""
        answers = CounterMetricFamily(
            "watershed_collector_answers", "Answers by route and status.", labels=["route", "status"]
        )
        for (route, status), count in self.answers.items():
            answers.add_metric([route, str(status)], count)
        yield answers
        for name, words, counts in (
            ("accepted", "Events accepted, by type.", self.accepted),
            ("rejected", "Events rejected, by type (empty: not known).", self.rejected),
        ):
            family = CounterMetricFamily(f"watershed_collector_events_{name}", words, labels=["event_type"])
            for type_, count in counts.items():
                family.add_metric([type_], count)
            yield family
        yield CounterMetricFamily(
            "watershed_collector_events_minted", "Accepted events whose id the collector made.", value=self.minted
        )
        yield CounterMetricFamily(
            "watershed_collector_body_bytes", "Bytes of the bodies taken, decompressed.", value=self.body_bytes
        )
        for name, words, read in self.counters:
            yield CounterMetricFamily(name, words, value=read())
        for name, words, read in self.gauges:
            yield GaugeMetricFamily(name, words, value=read())
