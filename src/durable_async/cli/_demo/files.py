"""Where the demo keeps its files, and what it audits."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from durable_async import ConfigurationError

HUB = "demo"
"""A task hub of its own, so that the demo leaves alone what else is in the store."""

URL_VARIABLE = "DURABLE_ASYNC_DEMO_URL"
"""Tells worker processes where the store is: everybody may read a command line, and the URL may hold a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlace:
    """Where one demo keeps what it does.

    Attributes:
        url: The store; it may hold a password, so it is shown nowhere.
        holder: What holds the state, in a word.
        title: Which one, for people.
        look_url: The store as it may be shown, or ``None`` if nobody can look into it when the demo has ended.
        ledger: Where activities write down that they run.
        log: What the worker processes say.
        workers: How many processes work side by side.
        anew: How to get rid of what is in there.
    """

    url: str = field(repr=False)
    holder: str
    title: str
    look_url: str | None
    ledger: Path
    log: Path
    workers: int
    anew: str


def in_file(database: Path) -> DemoPlace:
    """Keep it in a SQLite file, and the rest beside it."""
    database = database.absolute()
    return DemoPlace(
        url=f"sqlite:///{database}",
        holder="file",
        title=f"{database} (SQLite)",
        look_url=f"sqlite:///{database}",
        ledger=database.with_name(f"{database.name}-ledger"),
        log=database.with_name(f"{database.name}-log"),
        workers=1,
        anew=f"delete {database}",
    )


def in_postgres(url: str, folder: Path) -> DemoPlace:
    """Keep it in somebody's Postgres, and the rest in a folder, by the name of the database.

    Raises:
        ConfigurationError: The URL is none of a Postgres database.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("--postgres takes a URL such as postgresql://user@host/database")
    shown = without_secrets(url)
    name = f"demo-postgres-{hashlib.blake2b(shown.encode(), digest_size=6).hexdigest()}"
    return DemoPlace(
        url=url,
        holder="database",
        title=f"{shown} (Postgres)",
        look_url=shown,
        ledger=folder / f"{name}-ledger",
        log=folder / f"{name}-log",
        workers=2,
        anew="put another schema into the URL: ?schema=demo2",
    )


def in_own_postgres(url: str, server_folder: Path) -> DemoPlace:
    """Keep it in a server of the demo's own, which runs no longer than the demo."""
    return DemoPlace(
        url=url,
        holder="database",
        title=f"a Postgres server of the demo's own, in {server_folder}",
        look_url=None,
        ledger=server_folder / "demo-ledger",
        log=server_folder / "demo-log",
        workers=2,
        anew=f"delete {server_folder}",
    )


def without_secrets(url: str) -> str:
    """Return a URL of Postgres without its password, and without parameters, of which others may hold one, but the schema."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    schema = [piece for piece in parts.query.split("&") if piece.startswith("schema=")]
    return urlunsplit(
        (parts.scheme, user.partition(":")[0] + at + host, parts.path, "&".join(schema), "")
    )


def default_folder() -> Path:
    """Return the folder of the demo's files: in the user's cache folder, or else in the folder for temporary files.

    Raises:
        ConfigurationError: Neither can be written.
    """
    for folder in _cache_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise ConfigurationError("found no folder to keep the demo's files in: pass --db FILE")


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
