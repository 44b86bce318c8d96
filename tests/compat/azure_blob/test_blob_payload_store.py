"""Payloads in Azure Blob Storage, in an account that is a dict."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from durabletask.extensions.azure_blob_payloads import BlobPayloadStore

PACKAGE = "durabletask.extensions.azure_blob_payloads"


class ResourceExistsError(Exception):
    pass


class Account:
    """What clients of the account share."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, bytes]] = {}
        self.made: list[dict[str, Any]] = []
        self.closed = 0

    def create(self, container: str) -> None:
        if container in self.containers:
            raise ResourceExistsError(container)
        self.containers[container] = {}


def service_class(account: Account) -> type:
    class Container:
        def __init__(self, name: str) -> None:
            self.name = name

        def create_container(self) -> None:
            account.create(self.name)

        def upload_blob(self, *, name: str, data: bytes, overwrite: bool) -> None:
            assert overwrite
            account.containers[self.name][name] = data

        def download_blob(self, name: str) -> Any:
            data = account.containers[self.name][name]
            return types.SimpleNamespace(readall=lambda: data)

    class Service:
        def __init__(self, **arguments: Any) -> None:
            account.made.append(arguments)

        @classmethod
        def from_connection_string(cls, text: str, **arguments: Any) -> Any:
            return cls(connection_string=text, **arguments)

        def get_container_client(self, name: str) -> Container:
            return Container(name)

        def close(self) -> None:
            account.closed += 1

    return Service


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    for name, members in {
        "azure": {},
        "azure.core": {},
        "azure.core.exceptions": {"ResourceExistsError": ResourceExistsError},
        "azure.storage": {},
        "azure.storage.blob": {"BlobServiceClient": service_class(account)},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    forget(monkeypatch)
    return account


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package be imported anew, and after the test once more."""
    for name in (PACKAGE, f"{PACKAGE}.blob_payload_store"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        del sys.modules[name]


def store_with(**options: Any) -> BlobPayloadStore:
    package = importlib.import_module(PACKAGE)
    made = package.BlobPayloadStoreOptions(**options)
    store: BlobPayloadStore = package.BlobPayloadStore(made)
    assert store.options is made
    return store


def test_a_payload_comes_back_by_its_token(account: Account) -> None:
    with store_with(connection_string="account") as store:
        token = store.upload(b"a large text", instance_id="order-1")
        assert token.startswith("blob:v1:durabletask-payloads:order-1/")
        assert store.download(token) == b"a large text"
        assert store.upload(b"another") != store.upload(b"another")
    [stored, *_] = account.containers["durabletask-payloads"].values()
    assert gzip.decompress(stored) == b"a large text"
    assert account.closed == 1


async def test_a_payload_comes_back_without_blocking(account: Account) -> None:
    async with store_with(connection_string="account", container_name="own") as store:
        token = await store.upload_async(b"a large text")
        assert await store.download_async(token) == b"a large text"
        assert store.download(token) == b"a large text"
        await store.upload_async(b"another")
    assert list(account.containers) == ["own"]
    assert account.closed == 1


def test_a_store_may_be_used_on_several_loops(account: Account) -> None:
    store = store_with(connection_string="account")
    token = asyncio.run(store.upload_async(b"text"))
    assert asyncio.run(store.download_async(token)) == b"text"


async def test_a_container_may_be_there_already(account: Account) -> None:
    account.create("durabletask-payloads")
    store = store_with(connection_string="account")
    assert store.download(store.upload(b"text")) == b"text"
    other = store_with(connection_string="account")
    assert await other.download_async(await other.upload_async(b"text")) == b"text"


def test_compression_may_be_switched_while_payloads_are_stored(account: Account) -> None:
    packed, plain = (
        store_with(connection_string="account", enable_compression=each) for each in (True, False)
    )
    assert plain.download(packed.upload(b"text")) == b"text"
    assert packed.download(plain.upload(b"text")) == b"text"


def test_tokens_are_those_of_the_sdk(account: Account) -> None:
    store = store_with(connection_string="account")
    assert store.is_known_token("blob:v1:container:order-1/a:b")
    for text in ("", "blob:v1:", "blob:v1::name", "blob:v1:container:", "text", "blob:v2:a:b"):
        assert not store.is_known_token(text)
        with pytest.raises(ValueError, match="no token"):
            store.download(text)


def test_the_account_is_opened_as_the_options_say(account: Account) -> None:
    store_with(connection_string="account", api_version="2024-08-04")
    store = store_with(account_url="somewhere", credential="secret")
    assert account.made == [
        {"connection_string": "account", "api_version": "2024-08-04"},
        {"account_url": "somewhere", "credential": "secret"},
    ]
    assert "secret" not in repr(store.options)
    with pytest.raises(ValueError, match="connection_string"):
        store_with()


def test_without_the_library_the_import_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "azure.storage.blob", None)
    with pytest.raises(ImportError, match="pip install azure-storage-blob"):
        importlib.import_module(PACKAGE)
