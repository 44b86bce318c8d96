"""A schedule in words: what was typed into its form as options of the library, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from durable_async.dashboard._filters import tags_of
from durable_async.dashboard.actions.action import Form
from durable_async.errors import ValidationError, shown
from durable_async.model.spans import span_of, span_text
from durable_async.schedules import CatchUp, Overlap, ScheduleSpec

from .fields import FIELDS, ID, SPEC
from .wrong import Wrong

_SAID = {"cron": "cron", "every": "every", "at": "once,"}
"""Before a time, how it is meant."""


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
