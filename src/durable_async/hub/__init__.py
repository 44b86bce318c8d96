"""The front door: `TaskHub`, which wires together all that is below it. `_stores` makes of a URL the store that it names."""

from __future__ import annotations

from ._hub import TaskHub

__all__ = ("TaskHub",)
