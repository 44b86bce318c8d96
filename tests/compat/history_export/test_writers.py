"""Writers: a folder, an object store, and Azure's blobs, by a module that plays the package."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from durabletask.extensions.history_export import (
    HistoryWriter,
    LocalFolderHistoryWriter,
    ObjectStoreHistoryWriter,
)

FILE: dict[str, Any] = {
    "instance_id": "order/é",
    "container": "box",
    "blob_name": "2026/ab.jsonl.gz",
    "payload": b"content",
    "content_type": "application/x-ndjson",
    "content_encoding": "gzip",
    "metadata": {"instance_id": "order/é"},
}


# -- folder


def test_a_folder_gets_a_file(tmp_path: Path):
    writer = LocalFolderHistoryWriter(tmp_path / "new")
    writer.write(**FILE)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        tmp_path / "new" / "box" / "2026" / "ab.jsonl.gz"
    ]
    assert (writer.folder / "box/2026/ab.jsonl.gz").read_bytes() == b"content"
    writer.write(**{**FILE, "payload": b"other"})
    assert (writer.folder / "box/2026/ab.jsonl.gz").read_bytes() == b"other"


@pytest.mark.parametrize(
    ("container", "name"),
    [("..", "a"), ("box", "../../a"), ("/etc", "a"), ("box", "/etc/a"), (".", ".")],
)
def test_a_folder_is_not_left(tmp_path: Path, container: str, name: str):
    writer = LocalFolderHistoryWriter(tmp_path / "in")
    with pytest.raises(ValueError, match="leads out of the folder"):
        writer.write(**{**FILE, "container": container, "blob_name": name})
    assert list(tmp_path.rglob("*")) == []


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "box" / "2026" / "ab.jsonl.gz").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        LocalFolderHistoryWriter(tmp_path).write(**FILE)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_threads_may_write_the_same_file(tmp_path: Path):
    writer = LocalFolderHistoryWriter(tmp_path)
    payloads = [bytes([n]) * 10_000 for n in range(8)]
    threads = [
        threading.Thread(target=writer.write, kwargs={**FILE, "payload": payload})
        for payload in payloads
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_bytes() in payloads for path in files] == [True]


# -- object store


class Bucket:
    """A client in boto3's shape that keeps objects in files."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.calls: list[dict[str, Any]] = []

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **headers: Any) -> Any:  # noqa: N803
        self.calls.append({"Bucket": Bucket, "Key": Key, "Body": Body, **headers})
        if self.folder is not None:
            path = self.folder / Bucket / Key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(Body)
        return {"ETag": '"x"'}


def test_an_object_store_gets_an_object():
    client = Bucket()
    ObjectStoreHistoryWriter(client).write(**FILE)
    assert client.calls == [
        {
            "Bucket": "box",
            "Key": "2026/ab.jsonl.gz",
            "Body": b"content",
            "ContentType": "application/x-ndjson",
            "ContentEncoding": "gzip",
            "Metadata": {"instance_id": "order/%C3%A9"},
        }
    ]


def test_a_writer_may_have_a_bucket_and_a_prefix_of_its_own(tmp_path: Path):
    client = Bucket(tmp_path)
    writer = ObjectStoreHistoryWriter(client, "mine", "/histories/")
    writer.write(**{**FILE, "content_encoding": None, "metadata": None})
    assert client.calls == [
        {
            "Bucket": "mine",
            "Key": "histories/2026/ab.jsonl.gz",
            "Body": b"content",
            "ContentType": "application/x-ndjson",
        }
    ]
    assert (tmp_path / "mine/histories/2026/ab.jsonl.gz").read_bytes() == b"content"


def test_all_writers_are_writers(tmp_path: Path):
    assert isinstance(LocalFolderHistoryWriter(tmp_path), HistoryWriter)
    assert isinstance(ObjectStoreHistoryWriter(Bucket()), HistoryWriter)
    assert not isinstance(object(), HistoryWriter)


# -- Azure


class ExistsError(Exception):
    pass


class Service:
    """What is asked of a ``BlobServiceClient``."""

    made: list[Service]

    def __init__(self, **how: Any) -> None:
        self.how = how
        self.calls: list[tuple[str, Any]] = []
        self.exists = False
        Service.made.append(self)

    @classmethod
    def from_connection_string(cls, text: str, **how: Any) -> Service:
        return cls(connection_string=text, **how)

    def create_container(self, name: str) -> None:
        self.calls.append(("create", name))
        if self.exists:
            raise ExistsError

    def get_container_client(self, name: str) -> Service:
        self.calls.append(("container", name))
        return self

    def upload_blob(self, **blob: Any) -> None:
        self.calls.append(("upload", blob))

    def close(self) -> None:
        self.calls.append(("close", None))


MODULE = "durabletask.extensions.history_export.azure_blob"


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    Service.made = []
    names = ("azure", "azure.core", "azure.core.exceptions", "azure.storage", "azure.storage.blob")
    modules: dict[str, Any] = {name: ModuleType(name) for name in names}
    modules["azure.core.exceptions"].ResourceExistsError = ExistsError
    modules["azure.storage.blob"].BlobServiceClient = Service
    modules["azure.storage.blob"].ContentSettings = dict
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def test_blobs_are_uploaded(azure: Any):
    options = azure.AzureBlobHistoryExportWriterOptions("mine", connection_string="secret")
    with azure.AzureBlobHistoryExportWriter(options) as writer:
        writer.write(**FILE)
        writer.write(**{**FILE, "content_encoding": None, "metadata": None})
    (service,) = Service.made
    blob = {"name": "2026/ab.jsonl.gz", "data": b"content", "overwrite": True}
    lines = {"content_type": "application/x-ndjson", "content_encoding": "gzip"}
    assert service.how == {"connection_string": "secret"}
    assert service.calls == [
        ("create", "mine"),
        ("container", "mine"),
        (
            "upload",
            {
                **blob,
                "content_settings": lines,
                "metadata": {"instance_id": "order/%C3%A9"},
            },
        ),
        ("container", "mine"),
        (
            "upload",
            {
                **blob,
                "content_settings": {"content_type": "application/x-ndjson"},
                "metadata": None,
            },
        ),
        ("close", None),
    ]


def test_the_container_may_be_there(azure: Any):
    options = azure.AzureBlobHistoryExportWriterOptions(
        "mine", account_url="url", credential="key", api_version="v", overwrite=False
    )
    writer = azure.AzureBlobHistoryExportWriter(options)
    (service,) = Service.made
    service.exists = True
    writer.write(**FILE)
    assert service.how == {"account_url": "url", "credential": "key", "api_version": "v"}
    assert service.calls[-1][1]["overwrite"] is False
    assert "key" not in repr(options)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"container_name": ""}, "container_name is required"),
        ({}, "must be provided"),
        ({"account_url": "u"}, "'credential' is required"),
        ({"account_url": "u", "connection_string": "c"}, "mutually exclusive"),
    ],
)
def test_one_way_to_get_there(azure: Any, given: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        azure.AzureBlobHistoryExportWriterOptions(**{"container_name": "mine", **given})


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "azure.storage.blob", None)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(ImportError, match="'azure-storage-blob'"):
        importlib.import_module(MODULE)
