"""Durable_async's side of the suite; each file is a process of its own, whose last line is a JSON object of figures."""

from __future__ import annotations
