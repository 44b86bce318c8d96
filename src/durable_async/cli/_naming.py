"""Arguments and options that name orchestrations and orchestrators, with what a shell offers for them."""

from __future__ import annotations

from typing import Annotated

import typer

from durable_async import ValidationError
from durable_async.errors import shown
from durable_async.model.identity import ENTITY_MARK

from . import _completion
from ._options import WHICH


def orchestration(text: str) -> str:
    """Return the id of an orchestration.

    Raises:
        ValidationError: It is one of an entity.
    """
    if text.startswith(ENTITY_MARK):
        raise ValidationError(
            "ID", f"{shown(text)} is an entity: `show`, `signal`, `call` and `unpark` take those"
        )
    return text


Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="Ids; - reads them from standard input.",
        autocompletion=_completion.ids,
    ),
]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Id of an orchestration.",
        callback=orchestration,
        autocompletion=_completion.ids,
    ),
]
AnyId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id of an orchestration, or of an entity: @name@key.",
        autocompletion=_completion.ids,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="The orchestrator is one of these; may be repeated.",
        rich_help_panel=WHICH,
        autocompletion=_completion.orchestrators,
    ),
]
