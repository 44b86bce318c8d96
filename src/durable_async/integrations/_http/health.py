"""Health: for those who decide whether a process gets work, or is started anew."""

from __future__ import annotations

from durable_async.model.health import Health

from .messages import Answer, Api, Call
from .problems import dump


async def live(api: Api, _: Call) -> Answer:
    """Tell whether the process can go on."""
    health = await api.hub.health()
    return _answer(health, is_well=health.is_live)


async def ready(api: Api, _: Call) -> Answer:
    """Tell whether the process is fit for requests."""
    health = await api.hub.health()
    return _answer(health, is_well=health.is_ready)


def _answer(health: Health, *, is_well: bool) -> Answer:
    document = {
        "isLive": health.is_live,
        "isReady": health.is_ready,
        "problems": health.problems,
        "details": health.details,
    }
    return Answer(status=200 if is_well else 503, body=dump(document))
