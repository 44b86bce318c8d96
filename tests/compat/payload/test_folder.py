"""Payloads as files: whole or not at all, once, and nowhere else than in their folder."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from durabletask.payload import LargePayloadStorageOptions, LocalFolderPayloadStore

DATA = b"payload " * 1_000


@pytest.fixture(params=[True, False], ids=["compressed", "as it is"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalFolderPayloadStore:
    options = LargePayloadStorageOptions(enable_compression=request.param)
    return LocalFolderPayloadStore(tmp_path / "deep" / "folder", options)


def files(store: LocalFolderPayloadStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [DATA, b"", b"\x1f\x8b", bytes(range(256))])
async def test_what_goes_in_comes_out(store: LocalFolderPayloadStore, data: bytes) -> None:
    token = store.upload(data)
    assert store.is_known_token(token)
    assert store.download(token) == data
    assert await store.upload_async(data, instance_id="i") == token
    assert await store.download_async(token) == data
    assert len(files(store)) == 1


def test_files_are_compressed_if_that_is_wanted(store: LocalFolderPayloadStore) -> None:
    store.upload(DATA)
    (path,) = files(store)
    assert (path.stat().st_size < len(DATA)) is store.options.enable_compression


def test_one_store_reads_what_another_wrote(tmp_path: Path) -> None:
    stores = [
        LocalFolderPayloadStore(
            str(tmp_path), LargePayloadStorageOptions(enable_compression=is_compressed)
        )
        for is_compressed in (True, False)
    ]
    for writer in stores:
        token = writer.upload(DATA)
        assert [reader.download(token) for reader in stores] == [DATA, DATA]


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
        "blob:v1:container:name",
    ],
)
def test_nothing_else_is_a_token(tmp_path: Path, token: str) -> None:
    store = LocalFolderPayloadStore(tmp_path)
    assert not store.is_known_token(token)
    with pytest.raises(ValueError, match="no token"):
        store.download(token)


def test_what_is_not_there_is_lost(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalFolderPayloadStore(tmp_path).download(f"file:v1:{'a' * 64}")


def test_an_upload_that_fails_leaves_nothing_behind(
    store: LocalFolderPayloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            store.upload(DATA)
    assert files(store) == []
    assert store.download(store.upload(DATA)) == DATA


def test_many_may_write_the_same_at_once(store: LocalFolderPayloadStore) -> None:
    tokens: set[str] = set()
    threads = [threading.Thread(target=lambda: tokens.add(store.upload(DATA))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (token,) = tokens
    assert store.download(token) == DATA
    assert len(files(store)) == 1


def test_what_is_old_can_be_deleted_and_what_was_uploaded_again_is_not_old(
    store: LocalFolderPayloadStore,
) -> None:
    assert store.prune(timedelta(days=1)) == 0, "there is no folder yet"
    old, again, new = (store.upload(data) for data in (b"old", b"again", b"new"))
    for path in files(store):
        os.utime(path, (1.0, 1.0))
    store.upload(b"again")
    store.upload(b"new")

    assert store.prune(timedelta(days=1)) == 1

    assert [store.download(one) for one in (again, new)] == [b"again", b"new"]
    with pytest.raises(FileNotFoundError):
        store.download(old)
