"""What happened to one instance, drawn: its history as lanes (`lanes`), their time as places (`axis`), both as a chart (`chart`)."""

from __future__ import annotations

from .chart import Chart, chart_of
from .lanes import lanes_of

__all__ = ("Chart", "chart_of", "lanes_of")
