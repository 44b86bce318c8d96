"""What the three classes check of their arguments, as the service's own do."""

from __future__ import annotations

_SUFFIX = "/.default"


def check_taskhub(taskhub: str) -> list[tuple[str, str]]:
    """Return the metadata that name a hub.

    Raises:
        ValueError: The name is empty.
    """
    if not taskhub:
        raise ValueError("taskhub is empty: give the name of the task hub")
    return [("taskhub", taskhub)]


def check_resource_id(resource_id: str | None) -> None:
    """Refuse an audience for tokens that is none; no token is asked for here.

    Raises:
        ValueError: Nothing is left of it without spaces, slashes and the suffix of a scope.
    """
    if resource_id and not resource_id.strip().removesuffix(_SUFFIX).rstrip("/"):
        raise ValueError(f"resource_id {resource_id!r} names nothing")
