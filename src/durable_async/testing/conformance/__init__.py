"""The suite that makes a backend right: every promise of the port, as a test.

It knows the port and its records, nothing of any backend. The whole test file of a backend is one class with one fixture::

    class TestMine(BackendConformance):
        @pytest.fixture
        def connect(self, clock: StoreClock, tmp_path: Path) -> Connect:
            return partial(MyBackend, tmp_path / "store", environment=clock)

``connect`` makes backends that are not open yet on one store, each as another process would have it; it takes ``hub`` and
``letters_max``. A store that has a clock of its own overrides ``clock`` as well. Begin reading with ``base.py``.
"""

from __future__ import annotations

from importlib import import_module

from durable_async.errors import MissingExtraError

try:
    for module in ("pytest", "pytest_asyncio"):  # what the suite is written with
        import_module(module)
except ImportError as error:
    package = (error.name or "pytest").replace("_", "-")
    raise MissingExtraError(package, "test", "the conformance suite of backends") from error

from .activities import ActivityCancelConformance, ActivityQueueConformance
from .answers import AnswerConformance
from .base import HUB, LETTERS_MAX, Connect, ManualClock, Opener, StoreClock
from .claims import AttemptsConformance, ClaimConformance, ParkConformance
from .commits import (
    ChildrenConformance,
    ContinueAsNewConformance,
    EndConformance,
    TurnConformance,
)
from .driver import Driver
from .entities import (
    EntityMailboxConformance,
    EntityOpeningConformance,
    EntityStateConformance,
)
from .entity_reads import (
    EntityDiscardConformance,
    EntityQueryConformance,
    EntityReadConformance,
)
from .expiry import ExpiryConformance
from .finals import (
    FinalLetterConformance,
    FinalLetterInVainConformance,
    HeldFinalLetterConformance,
)
from .groups import GroupConformance
from .letters import MailboxBoundConformance, SendConformance, SendRequestConformance
from .mailboxes import DelayedStartConformance, MailboxConformance, WakeUpConformance
from .reads import CompletionOrderConformance, QueryConformance, ReadConformance
from .running import (
    ActivityProgressConformance,
    ActivityRecountConformance,
    RecountConformance,
    UnwantedActivityConformance,
)
from .starts import ReuseConformance, StartConformance, StartRequestConformance
from .upkeep import (
    ForgettingConformance,
    HubConformance,
    PurgeConformance,
    RewriteConformance,
    StatisticsConformance,
)
from .wakeups import WakeUpHintConformance
from .wills import WillConformance, WillDeliveryConformance, WillInVainConformance
from .workers import (
    ErrandConformance,
    FenceConformance,
    LostFetchConformance,
    RetirementConformance,
    TakeoverConformance,
    WithdrawalConformance,
    WorkerListConformance,
)


class WorkQueueConformance(
    FenceConformance,
    TakeoverConformance,
    ErrandConformance,
    RetirementConformance,
    WithdrawalConformance,
    WorkerListConformance,
    LostFetchConformance,
    ClaimConformance,
    AttemptsConformance,
    ParkConformance,
    TurnConformance,
    EndConformance,
    ContinueAsNewConformance,
    ChildrenConformance,
    MailboxConformance,
    WakeUpConformance,
    DelayedStartConformance,
    FinalLetterConformance,
    HeldFinalLetterConformance,
    FinalLetterInVainConformance,
    ActivityQueueConformance,
    ActivityCancelConformance,
    ActivityProgressConformance,
    UnwantedActivityConformance,
    ActivityRecountConformance,
    RecountConformance,
):
    """What workers live on."""


class InstanceStoreConformance(
    StartConformance,
    ReuseConformance,
    StartRequestConformance,
    SendConformance,
    SendRequestConformance,
    MailboxBoundConformance,
    ReadConformance,
    QueryConformance,
    CompletionOrderConformance,
    ForgettingConformance,
    PurgeConformance,
    ExpiryConformance,
    RewriteConformance,
):
    """What clients ask for."""


class EntityConformance(
    EntityOpeningConformance,
    EntityStateConformance,
    EntityMailboxConformance,
    EntityReadConformance,
    EntityQueryConformance,
    EntityDiscardConformance,
    WillConformance,
    WillInVainConformance,
    WillDeliveryConformance,
    GroupConformance,
    AnswerConformance,
):
    """What entities and their locks rest on."""


class BackendConformance(
    WorkQueueConformance,
    InstanceStoreConformance,
    EntityConformance,
    WakeUpHintConformance,
    StatisticsConformance,
    HubConformance,
):
    """Every promise of the port. Inherit, and override ``connect``."""


__all__ = (
    "HUB",
    "LETTERS_MAX",
    "BackendConformance",
    "Connect",
    "Driver",
    "EntityConformance",
    "InstanceStoreConformance",
    "ManualClock",
    "Opener",
    "StoreClock",
    "WorkQueueConformance",
)
