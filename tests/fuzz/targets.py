"""All targets, by name."""

from __future__ import annotations

from . import client_api, codec, damage, history, orders
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (codec, history, client_api, orders, damage)
    for target in module.TARGETS
}
