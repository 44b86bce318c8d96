from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from durable_async import ConfigurationError
from durable_async.backends.postgres import embedded
from durable_async.cli import _app
from durable_async.cli._demo import command, story
from durable_async.cli._demo.files import DemoPlace, in_file
from durable_async.cli._demo.options import ITS_OWN, demo_place


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ([], None),
        (["--postgres"], ITS_OWN),
        (["--postgres", "--crash"], ITS_OWN),
        (["--crash", "--postgres"], ITS_OWN),
        (["--postgres", "postgresql://db/shop", "--crash"], "postgresql://db/shop"),
        (["--postgres=postgresql://db/shop"], "postgresql://db/shop"),
    ],
)
def test_the_option_takes_a_url_or_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], url: str | None
) -> None:
    asked: list[str | None] = []

    @contextmanager
    def place(
        database: Path | None, postgres: str | None, console: Console
    ) -> Generator[DemoPlace, None, None]:
        asked.append(postgres)
        yield in_file(tmp_path / "demo.db")

    async def tell(*_: object) -> int:
        return 7

    monkeypatch.setattr(command, "demo_place", place)
    monkeypatch.setattr(story, "run_demo", tell)
    outcome = CliRunner().invoke(_app.app, ["demo", *words])
    assert (outcome.exit_code, asked) == (7, [url])


def test_a_file_and_a_server_are_too_much(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="not both"),
        demo_place(tmp_path / "demo.db", "postgresql://db/shop", Console()),
    ):
        pass


def test_without_a_server_to_start_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(embedded.BINARIES_VARIABLE, raising=False)
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(embedded, "Path", lambda path: tmp_path / "nowhere")
    with (
        pytest.raises(ConfigurationError, match=r"durable-async\[embedded-pg\]"),
        demo_place(None, ITS_OWN, Console(file=io.StringIO())),
    ):
        pass
