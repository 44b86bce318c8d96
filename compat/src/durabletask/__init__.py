"""The names of the Durable Task Python SDK, on durable_async: in process, on SQLite or Postgres."""

from __future__ import annotations
