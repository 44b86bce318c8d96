"""A PgBouncer of a test's own, in transaction mode: it hands the server's sessions around between transactions."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from durable_async.backends.postgres.embedded import USER, EmbeddedPostgres, _unprivileged

EXPECTED = "DURABLE_ASYNC_EXPECT_PGBOUNCER"
"""Environment variable: the program is to be there, so that its absence is a failure and no reason to skip."""

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")

needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None and not os.environ.get(EXPECTED),
    reason="pgbouncer is not installed (apt-get install pgbouncer)",
)

_READY_SECONDS = 30.0

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
ignore_startup_parameters = {ignored}
logfile = {folder}/pgbouncer.log
"""


class Pooler:
    """Stands before a server."""

    def __init__(
        self,
        folder: Path,
        server: EmbeddedPostgres,
        *,
        size: int = 3,
        mode: str = "transaction",
        ignored: str = "",
    ) -> None:
        assert PROGRAM is not None, "pgbouncer was to be there, and is not"
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = folder / "pgbouncer.log"
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                server_port=server.port,
                user=USER,
                password=server.password,
                port=self.port,
                mode=mode,
                size=size,
                ignored=ignored,
                folder=folder,
            )
        )
        self._process = subprocess.Popen(
            [*_unprivileged(), PROGRAM, str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until_it_listens()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def through(self, dsn: str) -> str:
        """Return a DSN of the server with this in between."""
        parts = urlsplit(dsn)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"pgbouncer did not start: {self._log.read_text()}")
