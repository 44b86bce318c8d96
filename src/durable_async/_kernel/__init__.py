"""The kernel: one orchestration on a deterministic event loop, and the guard around it. It does no I/O.

``orchestration`` runs turns on ``loop``; ``journal`` matches what the code does with what history holds; ``context`` and
``futures`` are what the code sees, and ``sections`` what it may do while it has entities locked. ``guard`` refuses what a replay cannot repeat, ``ordered`` keeps sets in order.
"""

from __future__ import annotations
