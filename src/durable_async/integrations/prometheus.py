"""Prometheus: metrics of a hub, in a registry of ``prometheus_client``.

    hub = TaskHub.at("sqlite:///orders.db", telemetry=Prometheus())
    prometheus_client.start_http_server(9100)

All hubs of a process share one; the label ``hub`` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from durable_async.errors import ConfigurationError, MissingExtraError
from durable_async.telemetry.metering import (
    METRICS,
    Metering,
    Metric,
)

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as error:
    raise MissingExtraError("prometheus-client", "prometheus", "Prometheus metrics") from error

__all__ = ("Prometheus",)

PREFIX = "durable_async_"


class Prometheus(Metering):
    """Counts in a registry; give one of these to all hubs of a process, which are told apart by the label ``hub``.

    Args:
        registry: Where the metrics are; by default the one that ``prometheus_client`` serves.

    Raises:
        ConfigurationError: The registry has metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__()
        try:
            self._counters = {
                metric: Counter(
                    prometheus_name(metric), metric.meaning, metric.labels, registry=registry
                )
                for metric in METRICS
                if metric.kind == "total"
            }
            self._histograms = {
                metric: Histogram(
                    prometheus_name(metric),
                    metric.meaning,
                    metric.labels,
                    registry=registry,
                    buckets=metric.buckets,
                )
                for metric in METRICS
                if metric.kind == "histogram"
            }
            registry.register(_Gauges(self))
        except ValueError as error:
            raise ConfigurationError(
                "this registry has the metrics of another Prometheus(): give all hubs the same one, or each a registry"
            ) from error

    def add(self, metric: Metric, labels: tuple[str, ...], amount: int = 1) -> None:
        """Count up."""
        self._counters[metric].labels(*labels).inc(amount)

    def record(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Take an observation."""
        self._histograms[metric].labels(*labels).observe(value)


class _Gauges(Collector):
    """What is now, asked for when somebody scrapes."""

    def __init__(self, metering: Metering) -> None:
        self._metering = metering

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [_family(metric) for metric in METRICS if metric.kind == "gauge"]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families = {metric: _family(metric) for metric in METRICS if metric.kind == "gauge"}
        for metric, labels, value in self._metering.gauges():
            families[metric].add_metric(labels, value)
        return families.values()


def prometheus_name(metric: Metric) -> str:
    """Return what a metric is called there."""
    name = PREFIX + metric.name.replace(".", "_")
    if metric.unit:
        name += f"_{metric.unit}"
    return f"{name}_total" if metric.kind == "total" else name


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(prometheus_name(metric), metric.meaning, labels=metric.labels)
