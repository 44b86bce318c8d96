"""Names and ids: what is allowed, and how ids of children are derived."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from durable_async.errors import LimitExceededError, ValidationError

ID_CHARS_MAX = 256
ID_BYTES_MAX = 512
NAME_CHARS_MAX = 200
TAGS_MAX = 32
TAG_CHARS_MAX = 256


ENTITY_MARK = "@"
"""What ids and names of entities begin with in the store, and no others."""


@dataclass(frozen=True, slots=True, order=True)
class EntityId:
    """An entity: what it is, and which one of them.

    Attributes:
        name: The entity's registered name; case does not matter, and is lowered.
        key: Which one; any text without control characters.

    Raises:
        ValidationError: One is empty, the name holds an ``@``, or together they are longer than an id may be.
    """

    name: str
    key: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_entity_name(self.name))
        object.__setattr__(self, "key", _check_text(self.key, "entity key", ID_CHARS_MAX))
        _check_id(str(self), "entity id")

    def __str__(self) -> str:
        return f"{ENTITY_MARK}{self.name}{ENTITY_MARK}{self.key}"

    @property
    def stored_name(self) -> str:
        """What it is registered as in the store, where its id is ``str()`` of this."""
        return ENTITY_MARK + self.name

    @classmethod
    def parse(cls, text: str) -> EntityId:
        """Return the entity that ``@name@key`` stands for; ``ValidationError`` if that is no such id."""
        text = _check_text(text, "entity id", ID_CHARS_MAX)
        nothing, name, key = [*text.split(ENTITY_MARK, 2), "", ""][:3]
        if nothing or not name or not key:
            raise ValidationError("entity id", f"{text!r} is not of the form @name@key")
        return cls(name, key)


def check_entity_name(name: str, field: str = "entity name") -> str:
    """Return an entity's name in lower case; ``ValidationError`` if it cannot be one."""
    name = _check_text(name, field, NAME_CHARS_MAX)
    if ENTITY_MARK in name:
        raise ValidationError(field, f"{name!r} has an '@', which parts names from keys")
    return name.lower()


def check_orchestrator_name(name: str, field: str = "orchestrator") -> str:
    """Return an orchestrator's name; ``ValidationError`` if it cannot be one."""
    name = check_name(name, field)
    if name.startswith(ENTITY_MARK):
        raise ValidationError(field, "begins with '@', which is kept for entities")
    return name


def check_instance_id(instance_id: str, field: str = "instance_id") -> str:
    """Return the id if an orchestration may have it; ``ValidationError`` otherwise.

    Ids are 1 to 256 characters, at most 512 bytes of UTF-8, without control characters and not beginning with ``@``, which
    is kept for entities.
    """
    instance_id = _check_id(instance_id, field)
    if instance_id.startswith(ENTITY_MARK):
        raise ValidationError(field, "begins with '@', which is kept for entities")
    return instance_id


def check_name(name: str, field: str) -> str:
    """Return the name of an orchestrator, activity, event or hub; ``ValidationError`` if it cannot be one."""
    return _check_text(name, field, NAME_CHARS_MAX)


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags if there are at most 32, each short; ``ValidationError`` or ``LimitExceededError`` otherwise."""
    if not isinstance(tags, Mapping):
        raise ValidationError("tags", f"must be a dict of texts, not {type(tags).__name__}")
    if len(tags) > TAGS_MAX:
        raise LimitExceededError("tags", len(tags), TAGS_MAX, "keep the rest in the input")
    return {
        _check_text(key, "tags", TAG_CHARS_MAX): _check_text(
            value, f"tags[{key!r}]", TAG_CHARS_MAX, empty=True
        )
        for key, value in tags.items()
    }


def check_prefix(prefix: str, field: str) -> str:
    """Return what ids are to begin with, which may be nothing; ``ValidationError`` if no id can."""
    return _check_text(prefix, field, ID_CHARS_MAX, empty=True)


def check_version(version: str | None) -> str | None:
    """Return a version, of which an empty one is none; ``ValidationError`` if it cannot be one."""
    if version is None or version == "":
        return None
    return check_name(version, "version")


def child_instance_id(parent_id: str, execution: int, seq: int) -> str:
    """Derive the id of a sub-orchestration: the same call of the same execution always has the same child."""
    readable = f"{parent_id}:{execution}.{seq}"
    if len(readable) <= ID_CHARS_MAX - 56 and len(readable.encode()) <= ID_BYTES_MAX - 56:
        return readable
    digest = hashlib.sha256(readable.encode()).hexdigest()[:32]
    return f"{parent_id[:64]}:{digest}"


def _check_id(text: str, field: str) -> str:
    text = _check_text(text, field, ID_CHARS_MAX)
    if len(text.encode()) > ID_BYTES_MAX:
        raise ValidationError(field, f"is over {ID_BYTES_MAX} bytes of UTF-8")
    return text


def _check_text(text: str, field: str, chars_max: int, *, empty: bool = False) -> str:
    """Return a text as a plain one, for what only derives from ``str``, such as a member of an enumeration, is not stored as it is."""
    if not isinstance(text, str):
        raise ValidationError(field, f"must be a str, not {type(text).__name__}")
    if not text and not empty:
        raise ValidationError(field, "is empty")
    if len(text) > chars_max:
        raise ValidationError(field, f"{len(text)} characters, over the limit of {chars_max}")
    for position, char in enumerate(text):
        if unicodedata.category(char) in ("Cc", "Cs"):
            raise ValidationError(
                field, f"has the control character {char!r} at position {position}"
            )
    return text if type(text) is str else str.__str__(text)
