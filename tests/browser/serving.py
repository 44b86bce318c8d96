"""Applications in processes of their own, at a port that nobody else has."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

READY_SECONDS = 60.0


@contextmanager
def serve(
    command: Sequence[str],
    *,
    cwd: Path,
    path: str = "/",
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run a Python program that serves HTTP, until the block ends.

    Args:
        command: Arguments of the interpreter; ``{fd}`` stands for the file descriptor of a listening socket, ``{port}`` for its port.
        cwd: Where it runs; what it prints is in ``log`` there.
        path: What answers as soon as it is ready, whatever the status.
        environment: What it finds besides what is here.

    Yields:
        Its address, without a slash at the end.
    """
    with closing(listen()) as listening:
        process = begin(command, listening, cwd=cwd, environment=environment)
        try:
            wait_for(process, address_of(listening) + path, cwd)
            yield address_of(listening)
        finally:
            end(process)


def listen() -> socket.socket:
    """Return a socket that listens at a port that nobody else has, also while no program accepts what comes there."""
    return socket.create_server(("127.0.0.1", 0))


def address_of(listening: socket.socket) -> str:
    """Return where it listens, without a slash at the end."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def begin(
    command: Sequence[str],
    listening: socket.socket,
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program as `serve` does, at a socket that outlives it; who starts it ends it."""
    fd, port = listening.fileno(), listening.getsockname()[1]
    words = [word.replace("{fd}", str(fd)).replace("{port}", str(port)) for word in command]
    with (cwd / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            pass_fds=[fd],
            stdout=log,
            stderr=log,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, as Ctrl-C does, and see to it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str, cwd: Path) -> None:
    """Wait until a program answers there, whatever the status.

    Raises:
        RuntimeError: It ended, or does not answer.
    """
    log = cwd / "log"
    until = time.monotonic() + READY_SECONDS
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"it ended at once: {log.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > until:
                raise RuntimeError(
                    f"{url} does not answer: {log.read_text(errors='replace')[-3000:]}"
                ) from error
            time.sleep(0.05)
