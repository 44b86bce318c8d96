from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from durable_async import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    DurableError,
    InstanceNotFoundError,
    MissingExtraError,
    SchemaVersionError,
    __version__,
    cli,
)
from durable_async.cli import _app
from durable_async.cli._exits import status_of

from .invoking import run


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    real = importlib.import_module

    def without(name: str, *args: object) -> object:
        if name == package:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", without)

    with pytest.raises(MissingExtraError) as caught:
        cli._check_extra()
    assert (caught.value.package, caught.value.extra) == (package, "cli")

    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "pip install 'durable-async[cli]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigurationError("no"), "durable-async: no\n"),
        (
            BaseExceptionGroup(
                "", [ConfigurationError("a"), ExceptionGroup("", [BackendError("b")])]
            ),
            "durable-async: a\ndurable-async: b\n",
        ),
    ],
)
def test_what_is_raised_on_purpose_is_a_line_each(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    said: str,
) -> None:
    def run() -> None:
        raise error

    monkeypatch.setattr(_app, "app", run)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err == said


def test_a_mistake_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        raise ExceptionGroup("", [ConfigurationError("a"), ZeroDivisionError()])

    monkeypatch.setattr(_app, "app", run)
    with pytest.raises(ExceptionGroup):
        cli.main()


def test_the_package_runs_as_a_module() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "durable_async", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"durable-async {__version__}\n"


def test_importing_the_face_imports_neither_typer_nor_rich() -> None:
    code = (
        "import sys, durable_async, durable_async.cli; print({'typer', 'rich'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"


def test_shells_can_be_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(_app.app, ["--show-completion", "bash"])
    assert result.exit_code == 0
    assert "_DURABLE_ASYNC_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([InstanceNotFoundError("i")], 1),
        ([ConfigurationError("c")], 2),
        ([BackendUnavailableError("gone")], 3),
        ([SchemaVersionError(0, 1)], 3),
        ([InstanceNotFoundError("i"), BackendUnavailableError("gone")], 3),
        ([], 2),
    ],
)
def test_errors_have_their_statuses(errors: list[DurableError], status: int) -> None:
    assert status_of(errors) == status


def test_errors_do_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli._refuse([ConfigurationError("a\x1b[2J\n\u202eb")])
    assert capsys.readouterr().err == "durable-async: a\\x1b[2J\n\\u202eb\n"


def test_an_id_that_looks_like_an_option_is_told_where_to_stand() -> None:
    refused = run("show", "-7")
    assert refused.status == 2
    assert "an id that begins with - stands behind --" in " ".join(refused.err.split())
    assert "stands behind" not in run("list", "--satus", "failed").err


def test_an_interrupt_before_the_command_has_begun_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_check_extra", interrupted)
    with pytest.raises(SystemExit, match="130"):
        cli.main()
    assert capsys.readouterr().err == ""
