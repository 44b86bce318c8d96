"""What processes may say while all this happens to them; anything else that is a warning, or worse, is a finding."""

from __future__ import annotations

import re
from pathlib import Path

_RECORD = re.compile(r"\d{4}-\d\d-\d\d [\d:,.]+ \d+ (?P<level>[A-Z]+) (?P<message>.*)")
_TRACEBACK = "Traceback (most recent call last)"
_QUIET = frozenset({"DEBUG", "INFO"})
_KNOWN = (
    r"cannot [\w ]+: .* (is not available|does not answer)( in time|: .*)",
    r"can [\w ]+ again, after [\d.]+ s",
    r"worker '\w+' lost its lease: .*; going on under a new identity",
    r"notifications do not arrive from .*",
)


def surprises(log: Path) -> list[str]:
    """Return the warnings and errors of a log that are of no known kind, and what is no record, such as the end of a process."""
    found: list[str] = []
    may_go_on = False
    for line in log.read_text(errors="replace").splitlines():
        record = _RECORD.fullmatch(line)
        if record is None:
            is_known = may_go_on and _TRACEBACK not in line
            may_go_on = True  # one line of it is enough
        else:
            is_known = record["level"] in _QUIET or _is_known(record["message"])
            may_go_on = record["level"] not in _QUIET
        if not is_known:
            found.append(f"{log.name}: {line}")
    return found


def _is_known(message: str) -> bool:
    return any(re.fullmatch(known, message) for known in _KNOWN)


def count(logs: list[Path], words: str) -> int:
    """Return how many lines of logs hold these words."""
    texts = (log.read_text(errors="replace") for log in logs)
    return sum(words in line for text in texts for line in text.splitlines())
