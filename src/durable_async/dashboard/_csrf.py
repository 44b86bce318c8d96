"""Whose clicks count: only forms of this dashboard's own pages change anything."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ._paths import root_of

COOKIE = "durable_async_form"
FIELD = "csrf"


def token_of(request: Request) -> str:
    """Return the token of this browser's session, a fresh one if it has none."""
    return request.cookies.get(COOKIE) or secrets.token_urlsafe(32)


def keep(token: str, request: Request, response: Response) -> None:
    """Let the browser keep the token, out of reach of scripts and of other sites."""
    response.set_cookie(
        COOKIE,
        token,
        path=root_of(request.scope) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def seal(request: Request, *said: str) -> str:
    """Return what shows that this dashboard said something to this browser: nobody makes it without the token."""
    token = request.cookies.get(COOKIE, "")
    return hmac.digest(token.encode(), json.dumps(said).encode(), "sha256").hex()[:32]


def is_sealed(request: Request, sealed: str, *said: str) -> bool:
    """Tell whether this dashboard said it to this browser."""
    if not request.cookies.get(COOKIE):
        return False
    return hmac.compare_digest(seal(request, *said).encode(), sealed.encode("utf-8", "replace"))


def check(request: Request, form: Mapping[str, str]) -> None:
    """Refuse what did not come from a form of ours, in this browser.

    Raises:
        HTTPException: 403; nothing was done.
    """
    if not _is_same_origin(request):
        raise HTTPException(403, "That came from another site. Nothing was changed.")
    kept, sent = request.cookies.get(COOKIE, ""), form.get(FIELD, "")
    if not kept or not hmac.compare_digest(kept.encode(), sent.encode()):
        raise HTTPException(
            403,
            "That form is out of date. Nothing was changed: go back, load the page again, and repeat it.",
        )


def _is_same_origin(request: Request) -> bool:
    """Tell whether a page of this host sent the request, by what no page can forge.

    Browsers send ``Sec-Fetch-Site`` over HTTPS and to localhost, and ``Origin`` with every form. The scheme is left out of the comparison, since a
    proxy may have taken TLS off.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return origin.partition("://")[2] == request.headers.get("host", "") != ""
