from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from durable_async import ConfigurationError
from durable_async.cli._demo.files import (
    default_folder,
    environment_folders,
    in_file,
    in_postgres,
    target_folders,
    without_secrets,
)

from .site_packages import install


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def test_the_cache_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = default_folder()
    assert (tmp_path / "home") in folder.parents
    assert folder.is_dir()


def test_a_cache_folder_of_ones_own_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_folder() == tmp_path / "cache/durable-async"


@pytest.mark.parametrize("home", [None, "", "a file"])
def test_without_a_usable_home_it_is_the_same_temporary_folder_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None
) -> None:
    if home is not None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("HOME", str(tmp_path / "file") if home else "")
    assert default_folder() == default_folder()
    assert tmp_path / "tmp" in default_folder().parents


def test_nowhere_to_write_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("a file")
    with pytest.raises(ConfigurationError, match="--db"):
        default_folder()


def test_the_url_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_file(Path("demo.db")).url == f"sqlite:///{tmp_path}/demo.db"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db/shop", "postgresql://me@db/shop"),
        ("postgresql://me@db:5432/shop?sslmode=require", "postgresql://me@db:5432/shop"),
        ("postgresql://db/shop?password=secret&schema=two", "postgresql://db/shop?schema=two"),
        ("postgresql://a:secret@h1:1,h2:2/d?direct_dsn=x%3Asecret", "postgresql://a@h1:1,h2:2/d"),
    ],
)
def test_a_url_is_shown_without_secrets(tmp_path: Path, url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    place = in_postgres(url, tmp_path)
    assert "secret" not in f"{place!r} {place.title} {place.look_url} {place.ledger}"


def test_each_database_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    one, other = (in_postgres(f"postgresql://db/{name}", tmp_path).ledger for name in "ab")
    assert one != other
    assert in_postgres("postgresql://db/a", tmp_path).ledger == one
    assert in_postgres("postgresql://me:new@db/a", tmp_path).ledger != one


@pytest.mark.parametrize("url", ["", "db", "mysql://db/shop", "sqlite:///demo.db"])
def test_what_is_no_postgres_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        in_postgres(url, tmp_path)


def test_each_folder_of_packages_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = tmp_path / "lib/site-packages", tmp_path / "lib/dist-packages"
    for folder in (first, second):
        folder.mkdir(parents=True)
    os.symlink(tmp_path / "lib", tmp_path / "lib64")
    same = tmp_path / "lib64/site-packages"
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(first), str(same), str(second)])
    assert environment_folders() == [str(first), str(second)]


@pytest.mark.parametrize("inside", ["", "lib/python3.12/site-packages", "Lib/site-packages"])
def test_a_target_is_a_folder_of_packages_or_an_environment(tmp_path: Path, inside: str) -> None:
    install(tmp_path / "env" / inside, "apple", {"apple.py": b""})
    assert target_folders(tmp_path / "env") == [str((tmp_path / "env" / inside).resolve())]


def test_a_target_without_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no installed packages"):
        target_folders(tmp_path)
