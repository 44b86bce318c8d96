"""Idempotency: what makes a request that is repeated one and the same."""

from __future__ import annotations

import hashlib
import secrets

from durable_async.model.identity import check_name

from .messages import Call

IDEMPOTENCY_KEY = "idempotency-key"


def request_id(call: Call, *about: str) -> str | None:
    """Return the id of a request whose caller gave it a key, which is for one operation on one thing; ``None`` for a fresh one."""
    key = call.headers.get(IDEMPOTENCY_KEY)
    return None if key is None else f"http-{digest(check_name(key, 'Idempotency-Key'), *about)}"


def fresh_request_id() -> str:
    """Return the id of a request whose caller gave it no key, for who may have to repeat it himself."""
    return f"http-{secrets.token_hex(16)}"


def id_by_key(call: Call, orchestrator: str) -> str | None:
    """Return the id for a start whose caller gave a key and no id: it has to be the same when he asks again."""
    key = call.headers.get(IDEMPOTENCY_KEY)
    return None if key is None else digest("instance", orchestrator, key)


def digest(*parts: str | bytes) -> str:
    """Return 32 hex digits that stand for some texts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        whole.update(b"%d:%b" % (len(data), data))
    return whole.hexdigest()[:32]
