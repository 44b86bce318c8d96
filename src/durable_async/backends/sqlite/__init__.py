"""The embedded store: a task hub in a SQLite file.

It may know the standard library's ``sqlite3``, files and threads. Read ``backend.py`` first for the verbs, then ``ledger.py``
for how one transaction decides and writes.
"""

from __future__ import annotations

from .backend import SqliteBackend as SqliteBackend
