"""One file for each workload; `benchmarks.suite` finds them by their names."""

from __future__ import annotations
