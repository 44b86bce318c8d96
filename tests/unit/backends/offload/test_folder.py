"""Payloads as files: whole or not at all, once, and nowhere else than in their folder."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from durable_async.backends.offload import FolderPayloads

DATA = b"payload " * 1_000


@pytest.fixture(params=[True, False], ids=["compressed", "as it is"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FolderPayloads:
    return FolderPayloads(tmp_path / "deep" / "folder", compress=request.param)


def files(store: FolderPayloads) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [DATA, b"", b"\x1f\x8b", bytes(range(256))])
async def test_what_goes_in_comes_out(store: FolderPayloads, data: bytes) -> None:
    token = await store.upload(data)
    assert store.knows(token)
    assert store.put(data) == token
    assert await store.download(token) == data
    assert store.get(token) == data
    assert len(files(store)) == 1
    assert store.threshold_bytes == 262_144


def test_one_store_reads_what_another_wrote(tmp_path: Path) -> None:
    stores = [FolderPayloads(str(tmp_path), compress=compress) for compress in (True, False)]
    tokens = [stores[0].put(DATA), stores[1].put(DATA), stores[0].put(DATA, compress=False)]
    assert [one.get(token) for one in stores for token in tokens] == [DATA] * 6
    sizes = sorted(path.stat().st_size for path in files(stores[0]))
    assert sizes[0] < len(DATA) // 10
    assert sizes[1:] == [len(DATA)]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "file:v1:",
        "file:v1:../../etc/passwd",
        f"file:v1:{'a' * 63}",
        f"file:v1:{'a' * 64}.zip",
        f"file:v1:{'a' * 64}\n",
        f"{'a' * 64}",
    ],
)
def test_nothing_else_is_a_token(tmp_path: Path, token: str) -> None:
    store = FolderPayloads(tmp_path)
    assert not store.knows(token)
    with pytest.raises(LookupError, match="no token"):
        store.get(token)


async def test_what_is_not_there_is_lost(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await FolderPayloads(tmp_path).download(f"file:v1:{'a' * 64}")


def test_an_upload_that_fails_leaves_nothing_behind(
    store: FolderPayloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            store.put(DATA)
    assert files(store) == []
    assert store.get(store.put(DATA)) == DATA


def test_many_may_write_the_same_at_once(store: FolderPayloads) -> None:
    tokens: set[str] = set()
    threads = [threading.Thread(target=lambda: tokens.add(store.put(DATA))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (token,) = tokens
    assert store.get(token) == DATA
    assert len(files(store)) == 1


def test_what_is_old_can_be_deleted_and_what_was_uploaded_again_is_not_old(
    store: FolderPayloads,
) -> None:
    assert store.prune(timedelta(days=1)) == 0, "there is no folder yet"
    old, again, new = (store.put(data) for data in (b"old", b"again", b"new"))
    for path in files(store):
        os.utime(path, (1.0, 1.0))
    store.put(b"again")
    store.put(b"new")

    assert store.prune(timedelta(days=1)) == 1

    assert [store.get(one) for one in (again, new)] == [b"again", b"new"]
    with pytest.raises(FileNotFoundError):
        store.get(old)
