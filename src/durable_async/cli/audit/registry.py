"""The audit's own registry, so that its names never meet those of the user's code."""

from __future__ import annotations

from durable_async import Registry

registry = Registry()
