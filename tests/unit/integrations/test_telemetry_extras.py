"""Without its package an integration says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
for name in {hidden!r}: sys.modules[name] = None
import durable_async
from durable_async.errors import MissingExtraError
try:
    import durable_async.integrations.{module}
except MissingExtraError as error:
    print(error.package, error.extra)
"""


@pytest.mark.parametrize(
    ("module", "hidden", "told"),
    [
        ("opentelemetry", ["opentelemetry"], "opentelemetry-api opentelemetry"),
        ("prometheus", ["prometheus_client"], "prometheus-client prometheus"),
    ],
)
def test_a_missing_package_is_named(module: str, hidden: list[str], told: str) -> None:
    program = PROGRAM.format(module=module, hidden=hidden)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_neither_is_imported_unless_it_is_asked_for() -> None:
    program = "import sys, durable_async; print([n for n in sys.modules if n.startswith(('opentelemetry', 'prometheus'))])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
