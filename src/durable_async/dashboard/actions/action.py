"""Action: something to do with an instance, an entity or a schedule, and what has to be said for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from durable_async.hub import TaskHub

T = TypeVar("T")
"""What the hub takes for one: its id."""
S = TypeVar("S")
"""What is known of one."""
Form = Mapping[str, str]

REASON_CHARS_MAX = 1_000

_BESIDE = ("csrf", "reason")
"""What a form has beside what it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form.

    Attributes:
        name: What it is sent as.
        label: What stands before it.
        kind: What it takes: a line, JSON, a tick, or one of its options.
        hint: What stands under it.
        required: Whether it must not be empty.
        value: What is in it at first; of a tick, anything for a ticked one.
        choices: The id of a list on the page, of what it might be.
        options: What it can be, and how that reads.
        audited: As what it is kept in the audit log; nothing for what is not, such as a value.
    """

    name: str
    label: str
    kind: Literal["line", "json", "tick", "option"] = "line"
    hint: str = ""
    required: bool = False
    value: str = ""
    choices: str = ""
    options: tuple[tuple[str, str], ...] = ()
    audited: str = ""


REASON = Field(name="reason", label="Reason", hint="Kept in the audit log.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[T, S]):
    """Something to do.

    Attributes:
        name: In addresses, and in the audit log.
        label: On its button.
        means: What will happen: asked on the page that wants it confirmed.
        done: What is said afterwards.
        applies: Whether it makes sense, as things stand.
        carry_out: Does it; returns the id of the instance, entity or schedule to look at next, or nothing if it is gone.
        fields: What has to be said.
        is_grave: Whether it cannot be undone.
        is_typed: Whether the id has to be typed, to confirm it.
        is_repeatable: Whether a form's token makes sending it again do nothing more, in whatever process; other forms are refused then.
    """

    name: str
    label: str
    means: str
    done: str
    applies: Callable[[S], bool]
    carry_out: Callable[[TaskHub, T, Form], Awaitable[str | None]]
    fields: tuple[Field, ...] = (REASON,)
    is_grave: bool = False
    is_typed: bool = False
    is_repeatable: bool = False


class Kind(Generic[T, S]):
    """What can be done with one kind of thing.

    Attributes:
        page: Where one is shown.
        list_page: Where all are.
        find: Reads what was typed as an id; returns it as the hub takes it, and what is known of that one, or ``None`` if there is none.
        by_name: Its actions.
    """

    def __init__(
        self,
        page: str,
        list_page: str,
        find: Callable[[TaskHub, str], Awaitable[tuple[T, S | None]]],
        *actions: Action[T, S],
    ) -> None:
        self.page = page
        self.list_page = list_page
        self.find = find
        self.by_name = {action.name: action for action in actions}

    def offered(self, state: S) -> list[Action[T, S]]:
        """Return what makes sense with one of them, as it stands."""
        return [action for action in self.by_name.values() if action.applies(state)]


def reason_of(form: Form) -> str | None:
    """Return why something is done, as far as it is said."""
    return form.get("reason", "").strip()[:REASON_CHARS_MAX] or None


def request_id_of(form: Form) -> str | None:
    """Return the id of what a form asks for: the same when it is sent again, another one when it says something else, as after a step back in the browser."""
    if not form.get("once"):
        return None
    said = sorted((name, text) for name, text in form.items() if name not in _BESIDE)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def details_of(fields: Iterable[Field], form: Form) -> dict[str, object]:
    """Return what the audit log keeps of a form: names and ids, never values."""
    found: dict[str, object] = {}
    for field in fields:
        if field.audited and field.kind == "tick":
            found[field.audited] = field.name in form
        elif field.audited and (text := form.get(field.name, "").strip()):
            found[field.audited] = text[:REASON_CHARS_MAX]
    return found
