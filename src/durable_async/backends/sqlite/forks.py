"""What a forked child must not keep of its parent: open files by which others would take the child for the parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Closable(Protocol):
    def close(self) -> None: ...


_KEPT: weakref.WeakSet[_Closable] = weakref.WeakSet()


def close_in_child(one: _Closable) -> None:
    """Have something closed in every child that is forked while it is there."""
    _KEPT.add(one)


def _close_all() -> None:
    for one in list(_KEPT):
        one.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
