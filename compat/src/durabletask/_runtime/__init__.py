"""What stands between the documented names and durable_async."""

from __future__ import annotations
