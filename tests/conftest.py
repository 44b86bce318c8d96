"""What every test shares: how hypothesis behaves on a busy machine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadlines: they measure the machine, not the code. CI repeats the same examples each time.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
