"""The suite: workloads that peers, raw loops and durable_async run side by side, and the goals that are judged by ratios."""

from __future__ import annotations
