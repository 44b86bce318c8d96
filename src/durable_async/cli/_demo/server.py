"""A Postgres server for the length of a demo."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from durable_async.backends.postgres.embedded import EmbeddedPostgres

from .files import DemoPlace, in_own_postgres


@contextmanager
def own_server(folder: Path, console: Console) -> Generator[DemoPlace, None, None]:
    """Run a server on a folder; in the thread that calls, which has to live as long as it.

    Raises:
        ConfigurationError: There are no programs of a server here.
        BackendUnavailableError: It does not start.
    """
    server = EmbeddedPostgres(folder)
    try:
        with console.status("Starting a Postgres server for this demo"):
            server.start()
        yield in_own_postgres(server.dsn, folder)
    finally:
        server.stop()
