"""One request of an operator, and what a page needs to answer it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from durable_async.client import Client
from durable_async.errors import ConfigurationError
from durable_async.hub import TaskHub
from durable_async.model.moments import instant

from . import _csrf
from ._access import Operator
from ._audit import Audit
from ._forms import SentForms
from ._overviews import Overviews
from ._paths import root_of
from ._templating import environment

COST_SHARE = 20
DONE = ("done", "changed", "refused")
"""What an address says of an action that was just done: which, and of many how many."""


@dataclass(frozen=True, slots=True)
class Site:
    """A dashboard: what all visits share.

    Attributes:
        hub: What is looked at.
        title: What stands at the top of each page.
        audit: Where else records of actions go.
        overviews: Costly looks that all visits share.
        done: What is said after an action of a name.
        sent: Which forms were sent.
    """

    hub: TaskHub
    title: str
    audit: Audit | None
    overviews: Overviews
    done: Callable[[str], str]
    sent: SentForms = field(default_factory=SentForms)


class Visit:
    """One request of an operator.

    Attributes:
        request: The request.
        site: What all visits share.
        operator: Who asks; ``None`` only where an error is shown to somebody who is not known.
    """

    def __init__(self, request: Request, site: Site, operator: Operator | None) -> None:
        self.request = request
        self.site = site
        self.operator = operator

    @property
    def hub(self) -> TaskHub:
        """The hub that is looked at."""
        return self.site.hub

    @property
    def client(self) -> Client:
        """Its client; raises ``ConfigurationError`` while it is not open."""
        return self.hub.client

    @property
    def now(self) -> datetime:
        """What time it is, by the store's clock."""
        return instant(self.hub.backend.now_us())

    def seconds_until_next(self, began: datetime, at_least: float) -> int:
        """Return after how many seconds a page is to be looked at again: many times as long as it took, so that a costly one is no load."""
        return math.ceil(max(at_least, (self.now - began).total_seconds() * COST_SHARE))

    @property
    def may_operate(self) -> bool:
        """Whether things to do are offered."""
        return self.operator is not None and self.operator.may_operate

    def asked(self, name: str) -> str:
        """Return what the address says of something; nothing if it does not."""
        return self.request.query_params.get(name, "").strip()

    def asked_exactly(self, name: str) -> str:
        """Return it with its spaces: ids may begin and end with some."""
        return self.request.query_params.get(name, "")

    def number(self, name: str, default: int = 0) -> int:
        """Return a number that is not negative out of the address."""
        text = self.asked(name)
        return int(text) if text.isdecimal() and len(text) < 10 else default

    def url(self, path: str, /, **query: object) -> str:
        """Return the address of a page. Ids stand behind the question mark, where browsers and proxies leave ``..`` and ``/`` alone."""
        wanted = {name: value for name, value in query.items() if value not in (None, "", [])}
        return f"{root_of(self.request.scope)}{path}" + (
            f"?{urlencode(wanted, doseq=True, quote_via=quote, safe='')}" if wanted else ""
        )

    def here(self, **changes: object) -> str:
        """Return the address of this page with other conditions; those that are ``None`` are left out."""
        given = self.request.query_params
        query: dict[str, Any] = {name: given.getlist(name) for name in given}
        for name in (*DONE, "seal"):
            query.pop(name, None)
        return self.url(self.path, **{**query, **changes})

    @property
    def path(self) -> str:
        """Which page is asked for, below the place where the dashboard is mounted."""
        root = self.request.scope.get("root_path", "")
        return self.request.scope["path"].removeprefix(root) or "/"

    @property
    def place(self) -> str:
        """Which store it is, without a password; nothing while it is not open."""
        try:
            return self.hub.backend.description
        except ConfigurationError:
            return ""

    @property
    def is_done(self) -> bool:
        """Whether something was just done, by this browser; a link from elsewhere may say so, too, and is not believed."""
        given = self.request.query_params
        said = [given.get(name, "") for name in ("id", *DONE)]
        return _csrf.is_sealed(self.request, given.get("seal", ""), self.path, *said)

    @property
    def done(self) -> str:
        """What is said of it: in words of ours, never in the address's."""
        return self.site.done(self.asked("done")) if self.is_done else ""

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page; halves of surrogate pairs, which a payload may hold, are shown as question marks."""
        text = environment().get_template(template).render(visit=self, **values)
        return HTMLResponse(text.encode("utf-8", "replace"), status)

    def go_to_done(self, path: str, done: str, /, **query: object) -> Response:
        """Send the browser on after an action, to a page that says that it was done."""
        said = [str(query.get(name, "")) for name in ("id", *DONE[1:])]
        sealed = _csrf.seal(self.request, path, said[0], done, *said[1:])
        return self.go_to(path, **query, done=done, seal=sealed)

    def go_to(self, path: str, /, **query: object) -> Response:
        """Send the browser on, after something was done: loading again does not repeat it."""
        return RedirectResponse(self.url(path, **query), status_code=303)

    def file(self, name: str, data: bytes) -> Response:
        """Return bytes to be kept as a file, and never to be shown as a page."""
        headers: Mapping[str, str] = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type="application/json", headers=headers)
