"""What an orchestration waits for, and what is in its way.

`explaining` puts together what `story` reads, `obstacles` finds in the way, and `waits` finds open.
"""

from __future__ import annotations

from .explaining import explain

__all__ = ("explain",)
