"""Real servers over one SQLite file: several processes share the work, reload at once, and end although somebody listens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import durable_async

READY_SECONDS = 60.0

FASTAPI = """
import os
from fastapi import FastAPI
from durable_async import OrchestrationContext, TaskHub, orchestrator
from durable_async.integrations.fastapi import DurableRouter

VERSION = 1

@orchestrator
async def approval(ctx: OrchestrationContext) -> str:
    ctx.set_custom_status("waits")
    return await ctx.wait_for_external_event("approved", str)

hub = TaskHub.at("sqlite:///orders.db")
app = FastAPI(lifespan=hub.lifespan)
app.include_router(DurableRouter(hub), prefix="/durable")

@app.middleware("http")
async def tell(request, call_next):
    response = await call_next(request)
    response.headers["x-pid"] = str(os.getpid())
    response.headers["x-version"] = str(VERSION)
    return response
"""

AIOHTTP = """
from aiohttp import web
from durable_async import OrchestrationContext, TaskHub, orchestrator
from durable_async.integrations.aiohttp import durable_context, durable_routes

@orchestrator
async def approval(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("approved", str)

hub = TaskHub.at("sqlite:///orders.db")
app = web.Application()
app.cleanup_ctx.append(durable_context(hub))
app.add_routes(durable_routes(hub, prefix="/durable"))
web.run_app(app, host="127.0.0.1", port=0)
"""


@contextmanager
def running(folder: Path, *command: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server, and give its process and its address, which it prints."""
    log = folder / "log"
    source = str(Path(durable_async.__file__).parents[1])
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=out,
        )
    try:
        yield process, _address(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + READY_SECONDS
    while True:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found is not None and _answers(found[0]):
            return found[0]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def _answers(address: str) -> bool:
    try:
        httpx.get(f"{address}/durable/instances/nobody")
    except httpx.HTTPError:
        return False
    return True


def news(client: httpx.Client, uri: str) -> Iterator[str]:
    """Give the kind of each event, after the process that tells them."""
    with client.stream("GET", uri, timeout=30) as answer:
        yield answer.headers.get("x-pid", "")
        for line in answer.iter_lines():
            if line.startswith("event: "):
                yield line.removeprefix("event: ")


def uvicorn(folder: Path, *options: str) -> Any:
    (folder / "shop.py").write_text(FASTAPI)
    return running(folder, "-m", "uvicorn", "shop:app", "--port", "0", *options)


@pytest.mark.slow
def test_what_one_process_started_another_one_tells_of(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--workers", "2") as (_, address), httpx.Client() as client:
        started = client.post(f"{address}/durable/orchestrators/approval")
        uris, starter = started.json(), started.headers["x-pid"]
        watcher = starter
        for _ in range(200):  # which process takes a connection is the system's to say
            listening = news(client, uris["eventsUri"])
            watcher = next(listening)
            if watcher != starter:
                break
            listening.close()
        assert watcher != starter
        assert next(listening) == "status"
        approved = uris["sendEventPostUri"].replace("{eventName}", "approved")
        assert httpx.post(approved, json="Mia").status_code == 202
        assert "end" in list(listening)
        ended = httpx.get(uris["statusQueryGetUri"])
        assert (ended.status_code, ended.json()["output"]) == (200, "Mia")


@pytest.mark.slow
def test_a_reload_does_not_wait_for_who_listens(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--reload") as (_, address), httpx.Client() as client:
        uris = client.post(f"{address}/durable/orchestrators/approval").json()
        listening = news(client, uris["eventsUri"])
        next(listening)
        assert next(listening) == "status"
        # Of another length: Python takes what it compiled within the same second for current if the length is the same.
        (tmp_path / "shop.py").write_text(FASTAPI.replace("VERSION = 1", "VERSION = 1 + 1"))
        list(listening)  # ends by itself
        until = time.monotonic() + 30
        while not _has_version(uris["statusQueryGetUri"], "2"):
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.05)
        approved = uris["sendEventPostUri"].replace("{eventName}", "approved")
        assert httpx.post(approved, json="Mia").status_code == 202
        ended = httpx.get(uris["statusQueryGetUri"], params={"wait": 20}, timeout=30)
        assert ended.json()["output"] == "Mia"


def _has_version(uri: str, version: str) -> bool:
    try:
        return httpx.get(uri).headers.get("x-version") == version
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_aiohttp_does_not_wait_for_who_listens(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(AIOHTTP)
    with running(tmp_path, "shop.py") as (process, address), httpx.Client() as client:
        uris = client.post(f"{address}/durable/orchestrators/approval").json()
        listening = news(client, uris["eventsUri"])
        next(listening)
        assert next(listening) == "status"
        process.send_signal(signal.SIGTERM)
        list(listening)
        assert process.wait(timeout=30) == 0
