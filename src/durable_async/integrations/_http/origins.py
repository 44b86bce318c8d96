"""Origins: what a page of another site can send in its reader's name is refused.

A browser adds its user's cookies to whatever a page sends, and asks the server first only for what no form could have sent: JSON that says so, or a
DELETE. All else arrives, unless it is refused here; who may send across sites, because the application's CORS headers say so, sends JSON.
"""

from __future__ import annotations

from .messages import Call
from .problems import ProblemError

UNASKED = "POST"
"""The one method that changes things and that browsers send to other sites without asking."""


def refuse_strangers(method: str, call: Call) -> None:
    """Refuse what a browser sent for a page of another site without asking. Programs, which say nothing of sites, are let through.

    Raises:
        ProblemError: 403; nothing was done.
    """
    if method == UNASKED and not says_json(call.headers.get("content-type")) and _is_strange(call):
        raise ProblemError(
            403,
            "cross-site",
            "a page of another site sent this: from there, Content-Type has to be application/json, with or without a body",
        )


def says_json(declared: str | None) -> bool:
    """Tell whether a body says of itself that it is JSON."""
    media_type = (declared or "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _is_strange(call: Call) -> bool:
    """Tell whether another origin's page sent it, by what no page can forge; older browsers, and plain HTTP, have ``Origin`` alone."""
    site = call.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("cross-site", "same-site")
    origin = call.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != call.headers.get("host", "")
