"""Guard: refuses what a replay cannot repeat, before it happens.

``lint`` reads an orchestrator's bytecode when it is registered. ``install`` puts up the nets of the running process, and
``activate`` and ``deactivate`` tell them when orchestrator code runs. Nothing happens at import.
"""

from __future__ import annotations

from .catalogue import Severity as Severity
from .lint import check as check, lint as lint
from .policy import (
    DeterminismWarning as DeterminismWarning,
    Finding as Finding,
    GuardPolicy as GuardPolicy,
    unsafe_nondeterminism as unsafe_nondeterminism,
)
from .runtime import (
    activate as activate,
    deactivate as deactivate,
    install as install,
    is_active as is_active,
    is_installed as is_installed,
    uninstall as uninstall,
)
