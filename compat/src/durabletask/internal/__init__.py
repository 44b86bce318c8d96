"""Names below ``durabletask.internal`` that programs are known to touch; nothing else is here."""

from __future__ import annotations
