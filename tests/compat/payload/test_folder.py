"""The payload store in a folder, as programs use it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from durabletask.payload import LargePayloadStorageOptions, LocalFolderPayloadStore

DATA = b"payload " * 1_000


async def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store = LocalFolderPayloadStore(tmp_path / "deep" / "folder")
    token = store.upload(DATA)
    assert store.is_known_token(token)
    assert store.download(token) == DATA
    assert await store.upload_async(DATA, instance_id="i") == token
    assert await store.download_async(token) == DATA
    (path,) = [path for path in store.folder.rglob("*") if path.is_file()]
    assert path.stat().st_size < len(DATA)


def test_compression_is_an_option(tmp_path: Path) -> None:
    store = LocalFolderPayloadStore(tmp_path, LargePayloadStorageOptions(enable_compression=False))
    store.upload(DATA)
    (path,) = tmp_path.glob("*/*")
    assert path.read_bytes() == DATA
    store.options.enable_compression = True
    assert store.download(store.upload(DATA)) == DATA
    assert len(list(tmp_path.glob("*/*"))) == 2


def test_other_texts_are_no_tokens(tmp_path: Path) -> None:
    store = LocalFolderPayloadStore(tmp_path)
    assert not store.is_known_token("blob:v1:container:name")
    with pytest.raises(ValueError, match="no token"):
        store.download("blob:v1:container:name")
    with pytest.raises(FileNotFoundError):
        store.download(f"file:v1:{'a' * 64}")


def test_what_is_old_can_be_deleted(tmp_path: Path) -> None:
    store = LocalFolderPayloadStore(tmp_path)
    store.upload(DATA)
    assert store.prune(timedelta(hours=2)) == 0
    (path,) = tmp_path.glob("*/*")
    os.utime(path, (1.0, 1.0))
    assert store.prune(timedelta(hours=2)) == 1
