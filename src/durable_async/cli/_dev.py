"""dev: a worker and the dashboard in one process, on this machine, which begin anew when code changes."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from durable_async import ConfigurationError, MissingExtraError, TaskHub

from ._logs import Level, LogLevel, set_up
from ._options import Hub, Url, Where
from ._reload import keep_fresh
from ._serving import serve
from ._terminal import say
from ._worker import Spec, announce, environment_of, hub_to_run

DEFAULT_URL = "sqlite:///durable.db"
DEFAULT_PORT = 8420
LOOPBACK = "127.0.0.1"
CLOSING_SECONDS = 2
"""So long pages that are being sent may take when it stops; a browser that listens for news would otherwise hold it up for ever."""


def dev(
    spec: Spec,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of the dashboard; 0 takes a free one.")
    ] = DEFAULT_PORT,
    reload: Annotated[
        bool,
        typer.Option(help="Begin anew when a Python file below this folder changes."),
    ] = True,
    log_level: Level = LogLevel.INFO,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Run a worker and the dashboard on this machine, for whoever writes the code. Without a hub or a --url: on durable.db in this folder.

    Exit status: as of worker.
    """
    if reload:
        arguments = ["dev", spec, "--no-reload", "--port", str(port)]
        arguments += ["--log-level", log_level.value]
        raise typer.Exit(anyio.run(keep_fresh, arguments, Path.cwd(), environment_of(url, hub)))
    described, registry = hub_to_run(Where(spec, url, hub), DEFAULT_URL)
    set_up(log_level)
    with _listening(port) as listening:
        address = f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        server = _server(described)

        def on_started() -> None:
            announce(spec, described)
            say(f"Dashboard: {address}", "bold green")
            sys.stdout.flush()

        async def beside(stop: anyio.Event) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: server.serve(sockets=[listening]))
                await stop.wait()
                server.should_exit = True

        anyio.run(lambda: serve(described, registry=registry, on_started=on_started, beside=beside))
    say("Drained.")


@contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    """Listen on this machine's own address.

    Raises:
        ConfigurationError: The port is taken, or not allowed.
    """
    try:
        found = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on port {port}: {error.strerror}; --port 0 takes a free one"
        ) from error
    with found:
        yield found


def _server(hub: TaskHub) -> Any:
    try:
        import uvicorn

        from durable_async.dashboard import Dashboard
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            error.name or "uvicorn", "dashboard", "durable-async dev"
        ) from error

    class Server(uvicorn.Server):
        """One that leaves the signals to whoever runs the worker, too."""

        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    config = uvicorn.Config(
        Dashboard(hub, insecure_local=True),
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    return Server(config)
