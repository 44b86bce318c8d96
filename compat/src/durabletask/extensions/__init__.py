"""Extensions: histories written elsewhere, large payloads in Azure Blob Storage."""

from __future__ import annotations
