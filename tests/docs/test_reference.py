"""The reference pages agree with the code that they describe."""

from __future__ import annotations

import builtins
import dataclasses
import enum
import re

import durable_async
from durable_async import DurableError, Settings, WorkerSettings, errors, testing
from durable_async.configuration import PREFIX, VARIABLES
from durable_async.model.policy import seconds_of
from durable_async.testing import VirtualTimeError

from .markdown import ROOT, table_rows

ERRORS = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs/explanation/guarantees.md").read_text(encoding="utf-8")
ENTITIES_PAGE = ROOT / "docs/explanation/entities.md"
ENTITIES = ENTITIES_PAGE.read_text(encoding="utf-8")
SECTIONS = [line for line in ERRORS.splitlines() if line.startswith("## ")]


def public_errors() -> dict[str, type[BaseException]]:
    """Return all errors that a user can meet: those of the face, of ``errors``, and of ``testing``."""
    return {
        name: value
        for module in (durable_async, errors, testing)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, (DurableError, VirtualTimeError))
    }


def documented_errors() -> dict[str, list[str]]:
    rows = [row for section in SECTIONS[:-1] for row in table_rows(ERRORS, section)]
    return {row[0].strip("`"): row for row in rows}


def standard_base(error: type[BaseException]) -> str:
    """Return the standard class, beside ``Exception``, that an error is, if there is one."""
    for base in error.__mro__:
        if base.__module__ == "builtins" and base.__name__ not in (
            "Exception",
            "BaseException",
            "object",
        ):
            return f"`{base.__name__}`"
    return ""


def test_every_public_error_is_documented_once() -> None:
    rows = [row[0] for section in SECTIONS[:-1] for row in table_rows(ERRORS, section)]
    assert len(rows) == len(set(rows))
    assert sorted(documented_errors()) == sorted(public_errors())


def test_every_error_of_the_face_is_from_one_home() -> None:
    face = {name for name in durable_async.__all__ if name in public_errors()}
    home = {name for name, value in vars(errors).items() if value in public_errors().values()}
    assert home <= face


def test_the_second_base_is_the_one_documented() -> None:
    known = public_errors()
    written = {name: row[1] for name, row in documented_errors().items()}
    actual = {name: standard_base(known[name]) for name in written}
    assert written == actual
    assert all(hasattr(builtins, base.strip("`")) for base in written.values() if base)


def test_retryable_errors_say_so() -> None:
    known = public_errors()
    written = {name for name, row in documented_errors().items() if "Retryable." in row[2]}
    assert written == {name for name, error in known.items() if getattr(error, "retryable", False)}


def test_every_setting_is_documented_with_its_default() -> None:
    written = [(row[0], row[1]) for row in table_rows(SETTINGS, "# Worker settings")]
    actual = [
        (f"`{field.name}`", f"`{_spelt(field.default)}`")
        for field in dataclasses.fields(WorkerSettings)
    ]
    assert written == actual


def test_every_setting_has_the_variable_that_is_documented() -> None:
    workers = table_rows(SETTINGS, "# Worker settings")
    others = table_rows(SETTINGS, "## From environment variables")
    written = {row[3].strip("`"): row[0].strip("`") for row in (*workers, *others)}
    assert len(written) == len(workers) + len(others)
    assert set(written) == {f"{PREFIX}{name}" for name in VARIABLES}
    for variable, setting in written.items():
        assert variable == f"{PREFIX}{setting.replace('.', '_').upper()}"


def test_defaults_of_the_others_are_those_of_the_code() -> None:
    settings = Settings()
    retention = settings.retention
    actual = {
        "url": settings.url,
        "hub": settings.hub,
        "default_version": settings.default_version,
        "pending_max": settings.pending_max,
        "retention.age": round(seconds_of(retention.age or 0, "age")),
        "retention.failed": round(seconds_of(retention.failed or 0, "failed")),
        "retention.by_name": dict(retention.by_name),
        "retention.batch": retention.batch,
    }
    rows = table_rows(SETTINGS, "## From environment variables")
    assert {row[0].strip("`"): row[1].strip("`") for row in rows} == {
        name: str(value) for name, value in actual.items()
    }


def _spelt(value: object) -> str:
    return str(value) if isinstance(value, enum.Enum) else repr(value)


def test_bounds_are_those_of_the_code() -> None:
    from durable_async._kernel.loop import CALLBACKS_PER_DRAIN_MAX, NEVER_SECONDS
    from durable_async.backends.memory.backend import LETTERS_MAX
    from durable_async.model import identity
    from durable_async.serialization import converter

    bounds = {row[0]: row[1] for row in table_rows(GUARANTEES, "## Bounds")}
    year = 365 * 86_400
    for what, numbers in {
        "a value, encoded": [converter.PAYLOAD_BYTES_MAX // 1024**2],
        "nesting of a value": [converter.DEPTH_MAX],
        "an instance id": [identity.ID_CHARS_MAX, identity.ID_BYTES_MAX],
        "names of orchestrators, activities, events, hubs": [identity.NAME_CHARS_MAX],
        "letters from clients in a mailbox: external events, operations of an entity": [
            LETTERS_MAX
        ],
        "tags": [identity.TAGS_MAX, identity.TAG_CHARS_MAX],
        "a turn without rest": [CALLBACKS_PER_DRAIN_MAX],
        "a timer": [NEVER_SECONDS // year],
    }.items():
        for number in numbers:
            assert f"{number:,}" in bounds[what], what


def test_each_promise_about_entities_names_the_tests_that_hold_it() -> None:
    rows = table_rows(ENTITIES, "## What is promised")
    assert len(rows) >= 15
    for promise, *_, held_by in rows:
        tests = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", held_by)
        assert tests, promise
        for name, file in tests:
            code = (ENTITIES_PAGE.parent / file).read_text(encoding="utf-8")
            assert f"def {name}(" in code, f"{file}: {name}"


def test_numbers_in_promises_about_entities_are_those_of_the_code() -> None:
    from durable_async.backends.memory.backend import LETTERS_MAX
    from durable_async.worker._entities import OPERATIONS_MAX

    assert f"of up to {OPERATIONS_MAX:,} operations" in ENTITIES
    assert f"With {LETTERS_MAX:,} letters in it" in ENTITIES
    assert f"`attempts_max` ({WorkerSettings().attempts_max}) times" in ENTITIES
