"""Postgres: any number of processes on a database, woken by LISTEN and NOTIFY."""

from __future__ import annotations

from .backend import PostgresBackend
from .connecting import parse_url

__all__ = ["PostgresBackend", "parse_url"]
