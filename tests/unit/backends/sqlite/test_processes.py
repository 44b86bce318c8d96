"""Several real processes on one file: death, hints, forks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from durable_async.backends.sqlite import hints

from .support import child, fetch, opened, turn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs kill -9 and fork")

VICTIM = """
async def main():
    backend = await opened()
    fence = await backend.register_worker("victim", 3600)
    await backend.create([new("a"), new("b")])
    say(len((await fetch(backend, fence)).claimed))
    sys.stdin.read()

asyncio.run(main())
"""

VICTIM_WITH_CHILD = """
async def main():
    backend = await opened()
    fence = await backend.register_worker("victim", 3600)
    await backend.create([new("a")])
    await fetch(backend, fence)
    if os.fork() == 0:
        say(os.getpid())  # the child itself: by now it has let go of what it inherited
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()

warnings.simplefilter("ignore")
asyncio.run(main())
"""

STARTER = """
async def main():
    backend = await opened()
    say("open")
    sys.stdin.readline()
    await backend.create([new("from outside")])
    await backend.close()

asyncio.run(main())
"""

FORKER = """
async def in_child(backend):
    try:
        await backend.create([new("zombie")])
    except Exception as error:
        say(f"{type(error).__name__} {'forked child' in str(error)}")
    await backend.close()

async def main():
    backend = await opened()
    await backend.register_worker("w", 3600)
    pid = os.fork()
    if pid == 0:
        asyncio._set_running_loop(None)
        asyncio.new_event_loop().run_until_complete(in_child(backend))
        os._exit(0)
    os.waitpid(pid, 0)
    await backend.create([new("parent")])
    say("parent goes on")
    await backend.close()

warnings.simplefilter("ignore")
asyncio.run(main())
"""


async def test_a_killed_worker_is_taken_over_at_once(tmp_path: Path) -> None:
    """Its lease has an hour to go; its lock went with it."""
    path = tmp_path / "hub.db"
    async with opened(path) as backend:
        with child(path, VICTIM) as victim:
            assert victim.next_line() == "2"
            fence = await backend.register_worker("heir", 60)
            assert await backend.take_over(fence) == 0
            victim.kill()
            assert await backend.take_over(fence) == 2
        claimed = (await fetch(backend, fence)).claimed
        assert sorted(one.instance_id for one in claimed) == ["a", "b"]
        assert [one.attempts for one in claimed] == [2, 2]
        result = await backend.commit(fence, [turn("a", 1), turn("b", 1)])
        assert result.dropped == frozenset()
        assert len(list(tmp_path.glob("hub.db-workers/*.lock"))) == 1


async def test_a_forked_child_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with opened(path) as backend:
        with child(path, VICTIM_WITH_CHILD) as victim:
            orphan = int(victim.next_line())
            try:
                victim.kill()
                fence = await backend.register_worker("heir", 60)
                assert await backend.take_over(fence) == 1
            finally:
                os.kill(orphan, signal.SIGKILL)


async def test_another_processs_commit_is_noticed_without_a_question(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    heard = anyio.Event()
    changes: list[frozenset[str] | None] = []

    def on_changed(ids: frozenset[str] | None) -> None:
        changes.append(ids)
        heard.set()

    async with opened(path) as backend:
        backend.listen(lambda: None, on_changed)
        with child(path, STARTER) as starter:
            assert starter.next_line() == "open"
            assert starter.process.stdin is not None
            starter.process.stdin.write("go\n")
            starter.process.stdin.flush()
            with anyio.fail_after(30):
                await heard.wait()
        assert await backend.read(["from outside"], payloads=False) != [None]
        assert changes[0] is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
async def test_another_process_rings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself for an hour."""
    monkeypatch.setattr(hints, "_IDLE_SECONDS", 3600.0)
    monkeypatch.setattr(hints, "_ACTIVE_SECONDS", 3600.0)
    path = tmp_path / "hub.db"
    heard = anyio.Event()
    async with opened(path) as backend:
        backend.listen(heard.set, lambda changed: None)
        with child(path, STARTER) as starter:
            assert starter.next_line() == "open"
            assert starter.process.stdin is not None
            starter.process.stdin.write("go\n")
            starter.process.stdin.flush()
            with anyio.fail_after(30):
                await heard.wait()


async def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    """And its clumsiness harms nobody."""
    path = tmp_path / "hub.db"
    with child(path, FORKER) as forker:
        assert forker.next_line() == "BackendError True"
        assert forker.next_line() == "parent goes on"
        assert forker.next_line() == ""
    async with opened(path) as backend:
        zombie, parent = await backend.read(["zombie", "parent"], payloads=False)
        assert zombie is None
        assert parent is not None
