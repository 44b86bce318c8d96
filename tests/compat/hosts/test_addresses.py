"""Where a hub is: URLs, ports of this process, the environment, and the default file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from durable_async import ConfigurationError
from durabletask._runtime import addresses
from durabletask._runtime.addresses import Address, claim_port, release_port, resolve, taskhub_in


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DURABLE_ASYNC_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_by_default_everything_is_in_a_file_here_and_the_log_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "durabletask"):
        first = resolve("localhost:4001")
        again = resolve(None)
    assert first == again == Address(f"sqlite:///{folder / 'durabletask.db'}", "default")
    [record] = caplog.records
    assert str(folder / "durabletask.db") in record.getMessage()
    assert "DURABLE_ASYNC_URL" in record.getMessage()


def test_the_environment_names_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", "postgresql://me@db/app")
    assert resolve("https://scheduler.example:443", "orders") == Address(
        "postgresql://me@db/app", "orders"
    )


@pytest.mark.parametrize("told", ["shop.db", "/data/shop.db", "mysql://me:secret@db/app"])
def test_what_names_no_store_is_refused_under_its_name(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", told)
    with pytest.raises(
        ConfigurationError, match=r"^DURABLE_ASYNC_URL is no URL.* sqlite:"
    ) as told_by:
        resolve("localhost:4001")
    assert "secret" not in str(told_by.value)


def test_a_url_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        resolve("sqlite://[::1/shop.db")
    monkeypatch.setenv("DURABLE_ASYNC_URL", "sqlite://[::1/shop.db")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        resolve(None)


@pytest.mark.parametrize(
    "url",
    ["sqlite:////data/x.db", "postgresql://h/db", "postgres://h/db", "memory://", "memory://one"],
)
def test_an_address_may_be_a_store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", "memory://other")
    assert resolve(url).url == url


def test_a_relative_file_stays_the_same_wherever_the_process_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resolve("sqlite:///a%20b.db")
    monkeypatch.setenv("DURABLE_ASYNC_URL", "sqlite:///a%20b.db")
    assert resolve("localhost:4001") == before == Address(f"sqlite:///{folder}/a%20b.db", "default")


@pytest.mark.parametrize(
    "host_address",
    [
        "localhost:50099",
        "127.0.0.1:50099",
        "[::1]:50099",
        "0.0.0.0:50099",
        "http://localhost:50099",
        "grpc://localhost:50099",
        "https://localhost:50099/",
        " localhost:50099 ",
    ],
)
def test_a_port_of_this_machine_finds_the_backend_that_has_it(
    host_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", "memory://other")
    claim_port(50099, "memory://mine")
    try:
        assert resolve(host_address).url == "memory://mine"
        assert resolve("elsewhere:50099").url == "memory://other"
        assert resolve("localhost:50098").url == "memory://other"
        assert resolve("localhost:nonsense").url == "memory://other"
    finally:
        release_port(50099, "memory://mine")
    assert resolve(host_address).url == "memory://other"


def test_a_port_has_one_backend() -> None:
    claim_port(50099, "memory://mine")
    claim_port(50099, "memory://mine")
    with pytest.raises(RuntimeError, match="50099"):
        claim_port(50099, "memory://other")
    release_port(50099, "memory://other")
    assert resolve("localhost:50099").url == "memory://mine"
    release_port(50099, "memory://mine")


def test_metadata_may_name_the_hub() -> None:
    assert taskhub_in(None) is None
    assert taskhub_in([("x", "y")]) is None
    assert taskhub_in([("x", "y"), ("TaskHub", "orders")]) == "orders"


def test_a_forked_child_has_no_backends() -> None:
    claim_port(50099, "memory://mine")
    kept = addresses._ports
    try:
        addresses._forget()
        assert addresses._ports.find(50099) is None
    finally:
        addresses._ports = kept
        release_port(50099, "memory://mine")
