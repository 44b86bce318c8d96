"""All targets, by name."""

from __future__ import annotations

from . import (
    client_api,
    codec,
    command_line,
    compat_client,
    compat_names,
    config,
    damage,
    history,
    offloading,
    orders,
    over_http,
    pages,
    surroundings,
)
from .target import Target

_MODULES = (
    *(codec, history, client_api, orders, damage),
    *(
        config,
        surroundings,
        pages,
        over_http,
        command_line,
        offloading,
        compat_names,
        compat_client,
    ),
)

TARGETS: dict[str, Target] = {
    target.name: target for module in _MODULES for target in module.TARGETS
}
