"""EntityInstanceId: which entity is meant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering

from durable_async import EntityId, ValidationError
from durable_async.errors import shown
from durable_async.model.identity import check_entity_name

MARK = "@"


@total_ordering
@dataclass(frozen=True, slots=True)
class EntityInstanceId:
    """A kind of entity, and a key: which one of that kind. Written as one text it is ``@name@key``, and so are ids ordered.

    Attributes:
        entity: The name of the kind, in lower case whatever it was given in.
        key: Which one; case matters.

    Raises:
        ValueError: One is empty, holds an ``@`` or a control character, or is too long: 200 characters for the name, and 256
            characters and 512 bytes of UTF-8 for both together.
    """

    entity: str
    key: str

    def __post_init__(self) -> None:
        native = EntityId(self.entity, self.key)
        _refuse_mark(self.key)
        object.__setattr__(self, "entity", native.name)

    def __str__(self) -> str:
        return f"{MARK}{self.entity}{MARK}{self.key}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, EntityInstanceId):
            return NotImplemented
        return str(self) < str(other)

    @staticmethod
    def parse(entity_id: str) -> EntityInstanceId:
        """Return the entity that a text of the form ``@name@key`` stands for.

        Raises:
            ValueError: It is not of that form, or the name or the key cannot be one.
        """
        nothing, *parts = entity_id.split(MARK, 2)
        if nothing or len(parts) != 2:
            raise ValueError(f"{shown(entity_id)} is no entity: one is written @name@key")
        return EntityInstanceId(*parts)

    @staticmethod
    def validate_entity_name(name: str) -> None:
        """Do nothing if a kind of entity can have this name; ``ValueError`` if not."""
        check_entity_name(name)

    @staticmethod
    def validate_key(key: str) -> None:
        """Do nothing if an entity can have this key; ``ValueError`` if not."""
        EntityId("any", key)
        _refuse_mark(key)


def _refuse_mark(key: str) -> None:
    if MARK in key:
        raise ValidationError("entity key", f"{key!r} has an {MARK!r}, which parts names from keys")
