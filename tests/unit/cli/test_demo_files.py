from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from durable_async import ConfigurationError
from durable_async.cli._demo_files import (
    DemoFiles,
    default_database,
    environment_folders,
    target_folders,
)

from .site_packages import install


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def test_the_cache_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    database = default_database()
    assert database.name == "demo.db"
    assert (tmp_path / "home") in database.parents
    assert database.parent.is_dir()


def test_a_cache_folder_of_ones_own_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_database() == tmp_path / "cache/durable-async/demo.db"


@pytest.mark.parametrize("home", [None, "", "a file"])
def test_without_a_usable_home_it_is_the_same_temporary_folder_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None
) -> None:
    if home is not None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("HOME", str(tmp_path / "file") if home else "")
    assert default_database() == default_database()
    assert tmp_path / "tmp" in default_database().parents


def test_nowhere_to_write_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("a file")
    with pytest.raises(ConfigurationError, match="--db"):
        default_database()


def test_the_url_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert DemoFiles(Path("demo.db")).url == f"sqlite:///{tmp_path}/demo.db"


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
