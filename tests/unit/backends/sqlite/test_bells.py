"""Bells: heard by the others, by the living, and by those who come late."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from durable_async.backends.sqlite.bells import Bells
from durable_async.environment import SystemEnvironment

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")


class Still(SystemEnvironment):
    """Just after the folder was changed, or long after."""

    def __init__(self, later_us: int) -> None:
        super().__init__()
        self._later_us = later_us

    def now_us(self) -> int:
        return super().now_us() + self._later_us


class Household:
    """Somebody with a bell."""

    def __init__(self, folder: Path, *, later_us: int = 0) -> None:
        self.bells = Bells(folder / "beside", Still(later_us))
        self.rung = anyio.Event()
        self.times = 0
        assert self.bells.hang()
        assert self.bells.attend(asyncio.get_running_loop(), self._on_ring)

    def _on_ring(self) -> None:
        self.times += 1
        self.rung.set()

    def leave(self) -> None:
        self.bells.leave()
        self.bells.take_down()


@contextmanager
def households(folder: Path, count: int, *, later_us: int = 0) -> Iterator[list[Household]]:
    found = [Household(folder, later_us=later_us) for _ in range(count)]
    try:
        yield found
    finally:
        for one in found:
            one.leave()


def pipes(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "beside"))


async def test_all_others_hear_it(tmp_path: Path) -> None:
    with households(tmp_path, 3) as (me, you, they):
        me.bells.ring()
        with anyio.fail_after(30):
            await you.rung.wait()
            await they.rung.wait()
        assert me.times == 0


@pytest.mark.parametrize("later_us", [0, 10_000_000], ids=["just now", "long after"])
async def test_who_comes_later_is_rung(tmp_path: Path, later_us: int) -> None:
    """Even if the time of the folder does not tell."""
    with households(tmp_path, 2, later_us=later_us) as (me, _):
        me.bells.ring()
        folder = tmp_path / "beside"
        before = folder.stat()
        late = Household(tmp_path)
        if later_us == 0:
            os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        me.bells.ring()
        with anyio.fail_after(30):
            await late.rung.wait()
        late.leave()


async def test_many_rings_are_one_call(tmp_path: Path) -> None:
    with households(tmp_path, 2) as (me, you):
        for _ in range(100_000):  # more than a pipe holds
            me.bells.ring()
        with anyio.fail_after(30):
            await you.rung.wait()
        assert you.times == 1


async def test_who_has_left_is_forgotten(tmp_path: Path) -> None:
    with households(tmp_path, 1) as (me,):
        with households(tmp_path, 1):
            me.bells.ring()
            assert len(me.bells._others) == 1
        me.bells.ring()
        assert me.bells._others == {}
        assert len(pipes(tmp_path)) == 1


async def test_bells_of_the_dead_are_cleared_away(tmp_path: Path) -> None:
    with households(tmp_path, 2) as (me, dead):
        me.bells.ring()
        dead.bells.leave()
        assert dead.bells._own is not None
        dead.bells._own.close()  # as the end of a process does
        assert len(pipes(tmp_path)) == 2
        me.bells.ring()
        assert me.bells._others == {}
        with households(tmp_path, 1):
            assert len(pipes(tmp_path)) == 2


async def test_a_bell_that_cannot_be_cleared_away_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is somebody else's to remove, and whoever rings has committed something already."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    with households(tmp_path, 2) as (me, you):
        os.mkfifo(tmp_path / "beside" / "dead.bell")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refuse)
            me.bells.ring()
        with anyio.fail_after(30):
            await you.rung.wait()


async def test_a_forked_child_holds_no_bell(tmp_path: Path) -> None:
    with households(tmp_path, 1) as (me,):
        assert me.bells._own is not None
        [path] = (tmp_path / "beside").iterdir()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # lives on, and says so
            os.write(write, b"!")
            signal.pause()
        try:
            os.read(read, 1)
            me.bells.leave()
            me.bells._own.close()
            with pytest.raises(OSError, match="No such device"):
                os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            os.close(write)


async def test_nobody_minds_if_the_folder_is_gone(tmp_path: Path) -> None:
    with households(tmp_path, 2) as (me, you):
        me.bells.ring()
        for pipe in (tmp_path / "beside").iterdir():
            pipe.unlink()
        (tmp_path / "beside").rmdir()
        me.bells.ring()
        assert me.bells._others == {}
        me.bells.ring()
        assert you.bells._own is not None


async def test_without_named_pipes_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "mkfifo")
    bells = Bells(tmp_path / "beside", SystemEnvironment())
    assert not bells.hang()
    assert not bells.attend(asyncio.get_running_loop(), lambda: None)
    bells.ring()
    bells.leave()
    bells.take_down()
    assert not (tmp_path / "beside").exists()
