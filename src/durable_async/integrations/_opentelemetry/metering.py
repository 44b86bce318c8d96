"""Metrics by OpenTelemetry's meters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import metrics

from durable_async.telemetry.metering import (
    METRICS,
    Metering,
    Metric,
)

PREFIX = "durable_async."


class OpenTelemetryMetering(Metering):
    """Counts with instruments of one meter."""

    def __init__(self, provider: metrics.MeterProvider | None) -> None:
        super().__init__()
        meter = metrics.get_meter("durable_async", meter_provider=provider)
        self._counters = {
            metric: meter.create_counter(PREFIX + metric.name, unit="1", description=metric.meaning)
            for metric in METRICS
            if metric.kind == "total"
        }
        self._histograms = {
            metric: _histogram(meter, metric) for metric in METRICS if metric.kind == "histogram"
        }
        for metric in METRICS:
            if metric.kind == "gauge":
                meter.create_observable_gauge(
                    PREFIX + metric.name,
                    callbacks=[self._observing(metric)],
                    unit="1",
                    description=metric.meaning,
                )

    def add(self, metric: Metric, labels: tuple[str, ...], amount: int = 1) -> None:
        self._counters[metric].add(amount, _attributes(metric, labels))

    def record(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        self._histograms[metric].record(value, _attributes(metric, labels))

    def _observing(
        self, metric: Metric
    ) -> Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]:
        def observe(options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            for one, labels, value in self.gauges():
                if one is metric:
                    yield metrics.Observation(value, _attributes(metric, labels))

        return observe


def _histogram(meter: metrics.Meter, metric: Metric) -> metrics.Histogram:
    unit = "s" if metric.unit == "seconds" else "1"
    name, meaning = PREFIX + metric.name, metric.meaning
    make: Any = meter.create_histogram
    try:
        histogram = make(name, unit, meaning, explicit_bucket_boundaries_advisory=metric.buckets)
    except TypeError:  # an API that takes no advice; views of the SDK set them
        histogram = make(name, unit, meaning)
    return histogram  # type: ignore[no-any-return]


def _attributes(metric: Metric, labels: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(metric.labels, labels, strict=True))
