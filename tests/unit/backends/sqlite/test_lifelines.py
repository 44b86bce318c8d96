"""Signs of life: held, lost, swept, and never taken from the living."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from durable_async.backends.sqlite.lifelines import Lifelines
from durable_async.errors import ConfigurationError

pytestmark = pytest.mark.skipif(not Lifelines.supported, reason="no flock on this system")


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("hub.db-workers/*.lock"))


def make(folder: Path, hub: str = "h") -> Lifelines:
    return Lifelines(folder / "hub.db-workers", hub)


def die(lifelines: Lifelines) -> None:
    """Let go of every lock and leave the files, as the end of a process does."""
    for held in lifelines._held.values():
        held.close()
    lifelines._held.clear()


def test_whoever_holds_it_lives_for_others_and_for_itself(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path), make(tmp_path)
    assert mine.hold("w")
    assert not theirs.is_gone("w")
    assert not mine.is_gone("w")
    assert not theirs.is_gone("w")  # asking took nothing away


def test_the_dead_and_the_absent_are_gone(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path), make(tmp_path)
    mine.hold("w")
    die(mine)
    assert theirs.is_gone("w")
    assert theirs.is_gone("never there")


def test_a_file_under_a_living_worker_stays(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path), make(tmp_path)
    mine.hold("w")
    theirs.clean("w")
    theirs.sweep()
    assert len(files(tmp_path)) == 1
    assert not theirs.is_gone("w")


def test_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path), make(tmp_path, hub="another")
    mine.hold("w")
    mine.hold("v")
    die(mine)
    theirs.sweep()
    assert files(tmp_path) == []


def test_dropping_the_last_one_leaves_nothing_behind(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path), make(tmp_path)
    mine.hold("w")
    theirs.hold("v")
    mine.drop_all()
    assert theirs.held() == ["v"]
    assert len(files(tmp_path)) == 1
    theirs.drop_all()
    assert list(tmp_path.iterdir()) == []


def test_the_same_id_in_another_hub_is_another_worker(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path, "left"), make(tmp_path, "right")
    assert mine.hold("w")
    assert theirs.hold("w")
    mine.drop("w")
    assert not make(tmp_path, "right").is_gone("w")


def test_only_the_owner_may_read_it_and_it_names_the_process(tmp_path: Path) -> None:
    mine = make(tmp_path)
    mine.hold("../../etc/\N{PARTY POPPER}")
    [file] = files(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"pid {os.getpid()}" in file.read_text(encoding="utf-8")


def test_a_worker_of_another_user_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither could see whether the other is alive, so it would be taken for dead, or never."""

    def refuse(*_args: object, **_kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigurationError, match="as the same user"):
        make(tmp_path).hold("w")


def test_a_file_deleted_between_opening_and_locking_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock on a file that is no longer there would be worth nothing."""
    mine, theirs = make(tmp_path), make(tmp_path)
    original = os.open
    swept: list[bool] = []

    def opening(*args: object, **kwargs: object) -> int:
        fd = original(*args, **kwargs)  # type: ignore[arg-type]
        if not swept:
            swept.append(True)
            files(tmp_path)[0].unlink()
        return fd

    monkeypatch.setattr(os, "open", opening)
    assert mine.hold("w")
    assert len(files(tmp_path)) == 1
    assert not theirs.is_gone("w")
