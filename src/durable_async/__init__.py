"""Durable execution for async Python, as a library.

This module is the face: it re-exports what users need and holds nothing of its own. Every path
without an underscore is promised to users. Read `durable_async.model.history` first, then the
kernel.
"""

from __future__ import annotations

__all__: tuple[str, ...] = ()
