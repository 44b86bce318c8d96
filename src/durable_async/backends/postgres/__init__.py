"""Postgres: any number of processes on a database, woken by LISTEN and NOTIFY."""

from __future__ import annotations

from .address import parse_url
from .backend import PostgresBackend

__all__ = ["PostgresBackend", "parse_url"]
