"""What a form sent, and whether it was sent before."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM_BYTES_MAX = 8 * 1024 * 1024
FIELDS_MAX = 100
REMEMBERED_MAX = 10_000
TOKEN_CHARS_MAX = 64


class SentForms:
    """Remembers which forms were sent to this process, the last ones."""

    def __init__(self) -> None:
        self._tokens: dict[str, None] = {}

    def remember(self, token: str) -> None:
        """Remember a form by the token that was in it.

        Raises:
            HTTPException: 409, it was sent before; 400, it has no token.
        """
        if not 0 < len(token) <= TOKEN_CHARS_MAX:
            raise HTTPException(400, "That form is not whole: load the page again.")
        if token in self._tokens:
            raise HTTPException(409, "That form was sent before, and does its work once.")
        self._tokens[token] = None
        if len(self._tokens) > REMEMBERED_MAX:
            del self._tokens[next(iter(self._tokens))]


async def read_form(request: Request) -> QueryParams:
    """Return the fields of a form.

    Raises:
        HTTPException: 413, it is too large, or 400, it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(400, "That is no form.")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > FORM_BYTES_MAX:
            raise HTTPException(413, "That is more than a form may hold.")
    try:
        fields = parse_qsl(
            data.decode("utf-8"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        raise HTTPException(400, "That form cannot be read.") from error
    return QueryParams([(name, value.replace("\r\n", "\n")) for name, value in fields])
