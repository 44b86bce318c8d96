"""The page of signals, spans and metrics says what the code does, no less and no more."""

from __future__ import annotations

import re
from typing import get_args, get_type_hints

from durable_async.integrations.prometheus import prometheus_name
from durable_async.telemetry import ClientCall, ExecutionEnded, InstanceParked, Outcome, Telemetry
from durable_async.telemetry._listening import SIGNALS
from durable_async.telemetry.metering import METRICS

from .markdown import ROOT, table_rows

PAGE = (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8")


def test_every_metric_is_documented_as_it_is() -> None:
    actual = [
        [
            f"`durable_async.{metric.name}`",
            f"`{prometheus_name(metric)}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
        ]
        for metric in METRICS
    ]
    assert table_rows(PAGE, "## Metrics") == actual
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_every_label_is_documented_with_its_values() -> None:
    rows = {row[0].strip("`"): row[1] for row in table_rows(PAGE, "### What a label may be")}
    assert set(rows) == {label for metric in METRICS for label in metric.labels}
    values = {
        "outcome": get_args(get_type_hints(Outcome)["status"]),
        "status": get_args(get_type_hints(ExecutionEnded)["status"]),
        "verb": get_args(get_type_hints(ClientCall)["verb"]),
    }
    for label, possible in values.items():
        assert ", ".join(f"`{value}`" for value in possible) in rows[label]
    for kind in get_args(get_type_hints(InstanceParked)["kind"]):
        assert f"`{kind}`" in rows["kind"]


def test_every_signal_is_documented_with_what_it_is_given() -> None:
    rows = [row[:2] for row in table_rows(PAGE, "## Signals")]
    given = [get_type_hints(getattr(Telemetry, name)) for name in SIGNALS]
    kinds = [next(kind for name, kind in hints.items() if name != "return") for hints in given]
    assert rows == [
        [f"`{name}`", f"`{kind.__name__}`"] for name, kind in zip(SIGNALS, kinds, strict=True)
    ]


def test_alerts_name_metrics_that_there_are() -> None:
    howto = (ROOT / "docs/howto/observability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(durable_async_\w+)`", howto))
    assert named
    assert named <= {prometheus_name(metric) for metric in METRICS}
