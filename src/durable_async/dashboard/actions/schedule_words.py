"""A schedule in words: the fields of its form, what was typed into them as the library takes it, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from durable_async.dashboard._filters import tags_of
from durable_async.errors import (
    DurableError,
    MissingExtraError,
    ScheduleExistsError,
    SerializationError,
    ValidationError,
    shown,
)
from durable_async.model.spans import span_of, span_text
from durable_async.schedules import CatchUp, Overlap, ScheduleSpec

from .action import REASON, Field, Form

_SAID = {"cron": "cron", "every": "every", "at": "once,"}
_KINDS = (("cron", "by a cron expression"), ("every", "at an interval"), ("at", "once"))
_OVERLAPS = (
    (Overlap.SKIP.value, "skip the tick"),
    (Overlap.BUFFER_ONE.value, "let one tick wait for its end"),
    (Overlap.BUFFER_ALL.value, "let all wait, one after the other"),
    (Overlap.ALLOW.value, "start all the same"),
    (Overlap.TERMINATE_PREVIOUS.value, "terminate that run"),
)
_CATCH_UPS = (
    (CatchUp.LAST.value, "start the last one that was missed"),
    (CatchUp.ALL.value, "start each one that was missed"),
    (CatchUp.NONE.value, "let them be missed"),
)

ID = Field(
    name="id",
    label="Id",
    required=True,
    hint="The ids of its runs begin with it.",
)
STARTS = (
    Field(
        name="orchestrator",
        label="Orchestrator",
        required=True,
        choices="names",
        audited="orchestrator",
    ),
    Field(name="input", label="Input", kind="json", hint="JSON, for each run; nothing for none."),
)
WHEN = (
    Field(name="kind", label="It starts", kind="option", options=_KINDS, value="cron"),
    Field(
        name="when",
        label="When",
        required=True,
        audited="when",
        hint="0 9 * * MON-FRI, or @daily; an interval such as 90s, 15m, 6h, 1d; for once, a time such as 2027-01-01T09:00.",
    ),
    Field(
        name="time_zone",
        label="Time zone",
        value="UTC",
        choices="zones",
        audited="time_zone",
        hint="In which a cron expression is meant, and times in this form that do not say theirs.",
    ),
    Field(
        name="end",
        label="End",
        audited="end",
        hint="A time; there is no tick after it. Nothing for none.",
    ),
)
OTHERWISE = (
    Field(
        name="overlap",
        label="While a run is still going on",
        kind="option",
        options=_OVERLAPS,
        value=Overlap.SKIP.value,
        audited="overlap",
    ),
    Field(
        name="catch_up",
        label="If no worker was there",
        kind="option",
        options=_CATCH_UPS,
        value=CatchUp.LAST.value,
        audited="catch_up",
    ),
)
MORE = (
    Field(
        name="start",
        label="Start",
        audited="start",
        hint="A time; there is no tick before it, and an interval is counted from it.",
    ),
    Field(
        name="jitter",
        label="Jitter",
        value="0s",
        audited="jitter",
        hint="A run begins up to so much later than its tick.",
    ),
    Field(
        name="catch_up_window",
        label="How old a missed tick may be",
        value="365d",
        audited="catch_up_window",
    ),
    Field(
        name="version",
        label="Version",
        audited="version",
        hint="What the code of its runs sees; nothing for none.",
    ),
    Field(name="tags", label="Tags", hint="Of its runs, such as team=shop, env=live."),
    Field(
        name="instance_id",
        label="Ids of its runs",
        value="{schedule}:{tick}",
        audited="instance_id",
        hint="{schedule} stands for the schedule's id, {tick} for the time, and must be there.",
    ),
)
PAUSED = Field(name="paused", label="Begin paused", kind="tick", audited="paused")
SPEC = (*STARTS, *WHEN, *OTHERWISE, *MORE)
"""Fields of a specification; `PAUSED`, `ID` and `REASON` are beside it."""
FIELDS = (ID, *SPEC, PAUSED, REASON)
DEFAULTS = {field.name: field.value for field in FIELDS}

_FIELD_OF = {"cron": "when", "every": "when", "at": "when", "schedule_id": "id"}
"""Where on the form options of the library are that have another name there."""


class Wrong(Exception):  # noqa: N818 - says what is wrong, field by field
    """Raised when what was typed cannot be.

    Attributes:
        fields: What is wrong, by field; under no name, what is about none of them.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(
            "; ".join(f"{name}: {what}" if name else what for name, what in fields.items())
        )
        self.fields = dict(fields)


@contextmanager
def noting(wrong: dict[str, str]) -> Generator[None]:
    """Note what is wrong, and go on: all of it is to be said at once."""
    try:
        yield
    except Wrong as error:
        wrong |= error.fields
    except DurableError as error:
        wrong |= wrong_of(error).fields


def wrong_of(error: DurableError) -> Wrong:
    """Return what the library refused, at the field that it is about."""
    if isinstance(error, ScheduleExistsError):
        return Wrong({"id": "is taken: choose another one, or edit the one that has it"})
    if isinstance(error, MissingExtraError):
        return Wrong({"when": str(error)})
    if isinstance(error, SerializationError):
        return Wrong({"input": str(error)})
    if isinstance(error, ValidationError):
        field_said = error.field.partition("[")[0]  # such as tags['team']
        name = _FIELD_OF.get(field_said, field_said)
        if any(field.name == name for field in FIELDS):
            return Wrong({name: error.reason})
    return Wrong({"": str(error)})


def typed(form: Form, words: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed, without spaces around it; words of what the form does not have."""
    return {field.name: form.get(field.name, words.get(field.name, "")).strip() for field in FIELDS}


def options_of(words: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that words of a form mean, other than the input.

    Raises:
        Wrong: Some of them mean nothing.
    """
    options: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, word in words.items():
        try:
            if name == "when":
                kind = words["kind"]
                options[kind] = _reader_of(kind)(word)
            elif name in _READERS:
                options[name] = _READERS[name](word)
        except ValidationError as error:
            wrong[name] = error.reason
    if wrong:
        raise Wrong(wrong)
    return options


def changed_words(before: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    """Return the words that are others than before; of when, all of it."""
    found = {name: words[name] for name, word in before.items() if words[name] != word.strip()}
    if not {"kind", "when"}.isdisjoint(found):
        found |= {name: words[name] for name in ("kind", "when")}
    return found


def words_of(spec: ScheduleSpec) -> dict[str, str]:
    """Return the words that mean a specification. Times are UTC."""
    kind, when = _when(spec)
    return {
        "orchestrator": spec.orchestrator,
        "input": _json(spec.input),
        "kind": kind,
        "when": when,
        "time_zone": spec.time_zone,
        "start": _moment_text(spec.start),
        "end": _moment_text(spec.end),
        "overlap": spec.overlap.value,
        "catch_up": spec.catch_up.value,
        "jitter": span_text(spec.jitter),
        "catch_up_window": span_text(spec.catch_up_window),
        "version": spec.version or "",
        "tags": ", ".join(f"{key}={value}" for key, value in spec.tags.items()),
        "instance_id": spec.instance_id,
    }


def said(words: Mapping[str, str]) -> dict[str, str]:
    """Return words as people read them, by the label of their field; what there is nothing of is left out."""
    found: dict[str, str] = {}
    for field in (ID, *SPEC):
        word = words.get(field.name, "")
        if field.name == "when":
            found[field.label] = f"{_SAID.get(words['kind'], '')} {word}"
        elif field.name != "kind" and word:
            found[field.label] = dict(field.options).get(word, word)
    return found


def _when(spec: ScheduleSpec) -> tuple[str, str]:
    if spec.cron is not None:
        return "cron", spec.cron
    if spec.every is not None:
        return "every", span_text(spec.every)
    return "at", _moment_text(spec.at)


def _json(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    is_sendable = "\r" not in text and text.encode("utf-8", "replace").decode() == text
    return text if is_sendable else json.dumps(value, indent=2)


def _moment_text(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()


def moment_of(text: str) -> datetime | None:
    """Return a time; one that does not say its zone is in the schedule's."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ValidationError("", f"{shown(text)} is no time, such as 2027-01-01T09:00") from None


def _span(text: str) -> timedelta:
    span = span_of(text)
    if span is None:
        raise ValidationError("", f"{shown(text)} is no duration, such as 90s, 15m, 6h or 1d")
    return span


def _needed(text: str) -> str:
    if not text:
        raise ValidationError("", "is empty")
    return text


def _once(text: str) -> datetime | None:
    return moment_of(_needed(text))


def _reader_of(kind: str) -> Callable[[str], Any]:
    if kind not in _TIMES:
        raise ValidationError("", "choose how it starts")
    return _TIMES[kind]


def _member_of(kind: type[Enum]) -> Callable[[str], Any]:
    def member(text: str) -> Enum:
        try:
            return kind(text)
        except ValueError:
            raise ValidationError("", "choose one of these") from None

    return member


_TIMES: dict[str, Callable[[str], Any]] = {"cron": _needed, "every": _span, "at": _once}
_READERS: dict[str, Callable[[str], Any]] = {
    "orchestrator": _needed,
    "time_zone": lambda text: text or "UTC",
    "start": moment_of,
    "end": moment_of,
    "overlap": _member_of(Overlap),
    "catch_up": _member_of(CatchUp),
    "jitter": lambda text: _span(text or "0s"),
    "catch_up_window": _span,
    "version": lambda text: text or None,
    "tags": tags_of,
    "instance_id": lambda text: text or "{schedule}:{tick}",
}
