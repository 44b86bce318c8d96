"""Doing the same to each of several: what came of each is said, and one that is refused does not keep the others from it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from durable_async import (
    BackendUnavailableError,
    DurableError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OrchestrationState,
    TaskHub,
    ValidationError,
)
from durable_async.model.identity import check_instance_id

from . import _documents
from ._existing import opened
from ._exits import NOT_DONE
from ._naming import orchestration
from ._options import Where
from ._terminal import make_sure, say


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to each.

    Attributes:
        name: As the command line has it.
        needs: What the orchestration must be, for people.
        fits: Tells whether one is.
        do: Does it, and returns what to say of it.
    """

    name: str
    needs: str
    fits: Callable[[OrchestrationState], bool]
    do: Callable[[TaskHub, str], Awaitable[str]]


def is_under_way(state: OrchestrationState) -> bool:
    """Tell whether it has not ended."""
    return not state.is_ended


def ids_of(given: Sequence[str]) -> list[str]:
    """Return ids, each once; ``-`` stands for those on standard input, one a line.

    Raises:
        ValidationError: One cannot be an id, or there are none.
    """
    found: list[str] = []
    for one in given:
        found += [line.strip("\r\n") for line in sys.stdin] if one == "-" else [one]
    ids = list(dict.fromkeys(check_instance_id(orchestration(one), "ID") for one in found if one))
    if not ids and "-" not in given:
        raise ValidationError("ID", "say which")
    return ids


async def to_each(
    where: Where,
    ids: Sequence[str],
    verb: Verb,
    *,
    question: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Do something to each; return the exit status, 0 if all went well.

    Args:
        where: The hub.
        ids: To which ones.
        verb: What.
        question: What is asked before, if anything.
        yes: Not to ask.
        dry_run: To do nothing, but to look whether they are there.
        as_json: For programs.
    """
    if question is not None and not dry_run:
        make_sure(question, yes=yes)
    all_well = True
    async with opened(where) as hub:
        for one in ids:
            said, error = await _try(hub, one, verb, dry_run=dry_run)
            all_well = all_well and error is None
            if as_json:
                _documents.write({**_documents.done(one, error), "dry_run": dry_run})
            else:
                say(f"{one}: {said}", "red" if error else "")
    return 0 if all_well else NOT_DONE


async def _try(
    hub: TaskHub, one: str, verb: Verb, *, dry_run: bool
) -> tuple[str, DurableError | None]:
    try:
        state = await hub.client.get(one, payloads=False)
        if state is None:
            raise InstanceNotFoundError(one)
        if not verb.fits(state):
            raise InvalidTransitionError(one, verb.name, state.status.value, verb.needs)
        if dry_run:
            return f"is {state.status.value}, and {verb.name} would go ahead", None
        return await verb.do(hub, one), None
    except BackendUnavailableError:
        raise  # the others would fare no better
    except DurableError as error:
        return str(error), error
