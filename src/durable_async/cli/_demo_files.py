"""Where the demo keeps its files, and what it audits."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from durable_async import ConfigurationError

HUB = "demo"
"""A task hub of its own, so that the demo leaves alone what else is in the file."""


class DemoFiles:
    """The database, and what lies beside it.

    Attributes:
        database: The SQLite file.
        ledger: Where activities write down that they run.
        log: What the worker processes say.
    """

    def __init__(self, database: Path) -> None:
        self.database = database.absolute()
        self.ledger = self.database.with_name(f"{database.name}-ledger")
        self.log = self.database.with_name(f"{database.name}-log")

    @property
    def url(self) -> str:
        """The database's URL."""
        return f"sqlite:///{self.database}"


def default_database() -> Path:
    """Return the demo's database: in the user's cache folder, or else in the folder for temporary files.

    Raises:
        ConfigurationError: Neither can be written.
    """
    for folder in _cache_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder / "demo.db"
    raise ConfigurationError("found no folder to keep the demo's database in: pass --db FILE")


def _cache_folders() -> list[Path]:
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    library = "Library/Caches" if sys.platform == "darwin" else ".cache"
    caches = [Path(given)] if given else []
    caches += [Path(home) / library] if home else []
    user = os.getuid() if hasattr(os, "getuid") else "user"
    last = Path(tempfile.gettempdir()) / f"durable-async-{user}"
    return [*(cache / "durable-async" for cache in caches), last]


def environment_folders() -> list[str]:
    """Return the folders that this Python imports installed packages from, each once."""
    found = {
        os.path.realpath(entry): entry
        for entry in reversed(sys.path)
        if Path(entry).name in {"site-packages", "dist-packages"}
    }
    return sorted(found.values(), key=sys.path.index)


def target_folders(target: Path) -> list[str]:
    """Return the folders of a target: it is a folder of packages itself, or a virtual environment.

    Raises:
        ConfigurationError: Nothing is installed there.
    """
    candidates = [target, *sorted(target.glob("[Ll]ib/python*/site-packages"))]
    candidates.append(target / "Lib" / "site-packages")
    for folder in candidates:
        if any(folder.glob("*.dist-info")):
            return [str(folder.resolve())]
    raise ConfigurationError(f"{target} holds no installed packages: no *.dist-info in it")
