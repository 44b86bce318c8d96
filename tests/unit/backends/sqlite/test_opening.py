"""Opening, closing, and what can be wrong with a file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import anyio
import pytest

from durable_async.backend import Hearing
from durable_async.backends.sqlite import SqliteBackend
from durable_async.backends.sqlite.administration import hubs_of, migrations, version_of
from durable_async.backends.sqlite.connection import file_system_of
from durable_async.environment import SystemEnvironment
from durable_async.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    FencedError,
    SchemaVersionError,
)
from durable_async.model.records import Outgoing

from .support import fetch, new, opened, turn


def make(path: Path | str, **options: float) -> SqliteBackend:
    return SqliteBackend(path, environment=SystemEnvironment(), **options)  # type: ignore[arg-type]


async def test_the_file_is_durable_and_shared(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db") as backend:
        writer = backend._connections["writer"]
        assert writer.execute("pragma journal_mode").fetchone() == ("wal",)
        assert writer.execute("pragma synchronous").fetchone() == (2,)
        reader = backend._connections["reader"]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("delete from instances")


async def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    backends = [make(tmp_path / "hub.db") for _ in range(8)]
    async with anyio.create_task_group() as group:
        for backend in backends:
            group.start_soon(backend.open)
    await backends[0].create([new("a")])
    for backend in backends:
        assert (await backend.read(["a"], payloads=False))[0] is not None
        await backend.close()


async def test_closing_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    before = threading.active_count()
    backend = make(tmp_path / "hub.db")
    await backend.open()
    await backend.register_worker("w", 30)
    await backend.close()
    await backend.close()
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hub.db"]
    with pytest.raises(BackendError, match="not open"):
        await backend.create([new("a")])
    await backend.open()
    assert [one.created for one in await backend.create([new("a")])] == [True]
    await backend.close()


@pytest.mark.parametrize("steps", range(1, 5))
async def test_who_is_cancelled_while_it_closes_leaves_no_thread_and_no_file(
    tmp_path: Path, steps: int
) -> None:
    """By asyncio's own means, which no shield holds."""
    before = threading.active_count()
    backend = make(tmp_path / "hub.db")
    await backend.open()
    await backend.register_worker("w", 30)
    closing = asyncio.ensure_future(backend.close())
    for _ in range(steps):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hub.db"]


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db"):
        pass
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("update meta set value = 99")
    connection.close()
    with pytest.raises(SchemaVersionError) as caught:
        await make(tmp_path / "hub.db").open()
    assert caught.value.found == 99


async def test_a_file_of_an_earlier_release_is_brought_up_to_date(tmp_path: Path) -> None:
    """A worker of that release, that is still there, is told of as one of whom nothing is known."""
    first, *later = migrations()
    connection = sqlite3.connect(tmp_path / "hub.db")
    connection.executescript(first.sql)
    connection.executescript(
        "insert into meta (name, value) values ('schema_version', 1);"
        "insert into hubs (hub, name) values (1, 'default');"
        "insert into workers (hub, id, epoch, seq, lease_until_us, has_lifeline) values (1, 'old', 1, 0, 0, 0);"
    )
    connection.close()
    async with opened(tmp_path / "hub.db") as backend:
        await backend.register_worker("young", 30)
        old, young = await backend.read_workers()
        assert (old.worker_id, old.host, old.pid, old.is_alive) == ("old", "", 0, False)
        assert (young.worker_id, young.is_alive) == ("young", True)
        assert young.host
    assert version_of(tmp_path / "hub.db") == 1 + len(later)


async def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"nothing that SQLite knows" * 200)
    with pytest.raises(BackendError, match="damaged or not a database") as caught:
        await make(tmp_path / "hub.db").open()
    assert not caught.value.retryable


async def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("create table meta (k, v)")
    connection.close()
    with pytest.raises(BackendError, match="another program"):
        await make(tmp_path / "hub.db").open()


async def test_a_file_from_between_two_releases_is_told_apart(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db"):
        pass
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("drop table history")
    connection.close()
    async with opened(tmp_path / "hub.db") as backend:
        with pytest.raises(BackendError, match="another schema than this release"):
            await backend.create([new("a")])


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_there_must_be_a_file(path: str) -> None:
    with pytest.raises(ConfigurationError, match="memory://"):
        make(path)


async def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        await make(tmp_path / "missing" / "hub.db").open()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a" * 248, "over 247 bytes"), ("ü" * 130, "over 247 bytes"), ("a\0b", "zero byte")],
)
async def test_a_name_that_can_be_no_file_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        await make(tmp_path / name).open()
    assert list(tmp_path.iterdir()) == []


async def test_the_longest_name_works(tmp_path: Path) -> None:
    async with opened(tmp_path / ("a" * 247)) as backend:
        await backend.register_worker("w", 15)
        assert backend.hearing is Hearing.ALWAYS


async def test_a_path_that_is_too_long_has_no_folder(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a" * 200] * 30)
    with pytest.raises(ConfigurationError, match="no folder"):
        await make(deep / "hub.db").open()
    with pytest.raises(ConfigurationError, match="no file"):
        hubs_of(deep / "hub.db")


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    folder = tmp_path / "with space" / "deep"
    folder.mkdir(parents=True)
    point = str(tmp_path / "with space").replace(" ", "\\040")
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {point} nfs4 rw 0 0\n", encoding="utf-8")
    assert file_system_of(folder, mounts) == "nfs4"
    assert file_system_of(tmp_path, mounts) == "ext4"
    assert file_system_of(tmp_path, tmp_path / "missing") is None


async def test_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "durable_async.backends.sqlite.connection.file_system_of", lambda *_: "cifs"
    )
    with pytest.raises(ConfigurationError, match="network file system"):
        await make(tmp_path / "hub.db").open()


async def test_a_locked_file_is_unavailable_and_then_available_again(tmp_path: Path) -> None:
    backend = make(tmp_path / "hub.db", busy_timeout_seconds=0.01)
    await backend.open()
    stranger = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    stranger.execute("begin immediate")
    with pytest.raises(BackendUnavailableError) as caught:
        await backend.create([new("a")])
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    stranger.execute("rollback")
    stranger.close()
    assert [one.created for one in await backend.create([new("a")])] == [True]
    await backend.close()


async def test_what_cannot_be_stored_spoils_the_batch_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db") as backend:
        fence = await backend.register_worker("w", 30)
        await backend.create([new("a"), new("b")])
        await fetch(backend, fence)
        with pytest.raises(BackendError) as caught:
            await backend.commit(fence, [turn("a", 1), turn("b", 2**70)])
        assert not caught.value.retryable
        assert await backend.read_fence("w") == fence
        assert [row.turn for row in (await backend.read_history("a", bytes_max=99)).rows] == [0]
        await backend.commit(fence, [turn("a", 1)])


async def test_a_cancelled_caller_gives_up_the_wait_not_the_write(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db") as backend:
        with anyio.move_on_after(0):
            await backend.create([new("a")])
        assert (await backend.create([new("b")]))[0].created
        [a] = await backend.read(["a"], payloads=False)
        assert a is not None


async def test_an_id_that_is_registered_cannot_be_registered_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "hub.db") as backend, opened(tmp_path / "hub.db") as other:
        fence = await backend.register_worker("w", 30)
        for namesake in (backend, other):
            with pytest.raises(FencedError):
                await namesake.register_worker("w", 30)
        rival = await other.register_worker("rival", 30)
        assert await other.take_over(rival) == 0
        assert await backend.read_fence("w") == fence


async def test_a_worker_that_lost_its_lease_lets_go_of_its_sign_when_it_registers_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hub.db"
    async with opened(path) as backend, opened(path) as other:
        await backend.register_worker("late", 0)
        rival = await other.register_worker("rival", 30)
        assert await other.take_over(rival) == 0
        assert len(list(tmp_path.glob("hub.db-workers/*.lock"))) == 2
        await backend.register_worker("anew", 30)
        assert backend._lifelines.held() == ["anew"]


async def test_answers_and_tombstones_do_not_stay_for_ever(tmp_path: Path) -> None:
    environment = Later()
    backend = SqliteBackend(tmp_path / "hub.db", environment=environment)
    await backend.open()
    await backend.create([new("a")])
    await backend.send([Outgoing(instance_id="a", execution=None, letter=b"x", request_id="r")])
    writer = backend._connections["writer"]
    assert writer.execute("select count(*) from requests").fetchone() == (1,)
    writer.execute("insert into tombstones values (1, 'old', 1, ?)", (environment.now_us(),))
    environment.hours = 25
    await backend.take_over(await backend.register_worker("w", 30))
    assert writer.execute("select count(*) from requests").fetchone() == (0,)
    assert writer.execute("select count(*) from tombstones").fetchone() == (1,)
    environment.hours = 24 * 31
    await backend.take_over(await backend.register_worker("v", 30))
    assert writer.execute("select count(*) from tombstones").fetchone() == (0,)
    await backend.close()


class Later(SystemEnvironment):
    hours = 0

    def now_us(self) -> int:
        return super().now_us() + self.hours * 3600 * 1_000_000
