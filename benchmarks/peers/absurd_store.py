"""Puts Absurd into a new database: its schema, and a queue."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from common import Database


def install(database: Database) -> None:
    """Make the schema and the queue called default."""
    tool = Path(sys.executable).parent / "absurdctl"
    environment = {**os.environ, "ABSURD_DATABASE_URL": database.dsn}
    for arguments in (["init"], ["create-queue", "default"]):
        subprocess.run([tool, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
