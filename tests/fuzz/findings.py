"""What must not have come out of a target, told apart by where it came from."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .strategies import one_line
from .target import Tally, Target, answer_of

_SOURCES = ("src", "compat", "tests")


@dataclass(slots=True)
class Findings:
    """How a target answered, and what it did not answer.

    Attributes:
        tally: The answers.
        unhandled: A full account of each, by where it came from.
        times: How often each was met.
    """

    tally: Tally = field(default_factory=Tally)
    unhandled: dict[str, str] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def give(self, target: Target, value: Any) -> str | None:
        """Give a target one input, and keep what must not come out of it; return where that came from, if it is new."""
        try:
            answer = answer_of(target, value)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            return self._keep(error, value)
        self.tally.count(answer)
        return None

    def _keep(self, error: Exception, value: Any) -> str | None:
        self.tally.count("unhandled")
        place = _place(error)
        self.times[place] = self.times.get(place, 0) + 1
        if place in self.unhandled:
            return None
        trace = "".join(traceback.format_exception(error))
        self.unhandled[place] = f"{place}\ninput: {one_line(value)}\n{trace}"
        return place


def _place(error: BaseException) -> str:
    """Name an error by its kind and by the last line of ours that it went through."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame for frame in frames if any(part in Path(frame.filename).parts for part in _SOURCES)
    ]
    last = ours[-1] if ours else frames[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} in {last.name}"
