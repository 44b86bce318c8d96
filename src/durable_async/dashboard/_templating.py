"""Templates: everything that is put into one is text, and is escaped."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import _times
from ._payloads import preview

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"


@functools.lru_cache(maxsize=1)
def environment() -> Environment:
    """Return what renders templates."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = made.filters
    filters.update(
        ago=_times.ago,
        clock=_times.clock,
        duration=_times.duration,
        local=_times.local,
        preview=preview,
        stamp=_times.stamp,
    )
    return made
