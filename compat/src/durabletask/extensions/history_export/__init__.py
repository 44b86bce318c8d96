"""Export the histories of orchestrations that have ended, to files that outlive their purge.

A job exports what ended in a span of time (`ExportMode.BATCH`), or everything from a moment on, for ever (`ExportMode.CONTINUOUS`). A
`HistoryWriter` puts the files somewhere: a local folder, an object store, or wherever a program likes. Jobs are kept by an entity and
carried out by an orchestration and two activities, in any worker that `ExportHistoryClient.register_worker` was called for.
"""

from __future__ import annotations

from ._constants import ENTITY_NAME, ORCHESTRATOR_NAME, orchestrator_instance_id_for
from .activities import (
    HistoryExportContext,
    HistoryExportContextResolver,
    build_activities,
    run_export_instance_history,
    run_list_terminal_instances,
)
from .client import (
    AsyncExportHistoryClient,
    AsyncExportHistoryJobClient,
    ExportHistoryClient,
    ExportHistoryJobClient,
)
from .entity import ExportJobEntity
from .exceptions import ExportJobError, ExportJobInvalidTransitionError, ExportJobNotFoundError
from .folder import LocalFolderHistoryWriter
from .models import (
    STATE_SCHEMA_VERSION,
    ExportCheckpoint,
    ExportDestination,
    ExportFailure,
    ExportFilter,
    ExportFormat,
    ExportFormatKind,
    ExportJobConfiguration,
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobQuery,
    ExportJobState,
    ExportJobStatus,
    ExportMode,
)
from .object_store import ObjectStoreClient, ObjectStoreHistoryWriter
from .writer import HistoryWriter

__all__ = [
    "ENTITY_NAME",
    "ORCHESTRATOR_NAME",
    "STATE_SCHEMA_VERSION",
    "AsyncExportHistoryClient",
    "AsyncExportHistoryJobClient",
    "ExportCheckpoint",
    "ExportDestination",
    "ExportFailure",
    "ExportFilter",
    "ExportFormat",
    "ExportFormatKind",
    "ExportHistoryClient",
    "ExportHistoryJobClient",
    "ExportJobConfiguration",
    "ExportJobCreationOptions",
    "ExportJobDescription",
    "ExportJobEntity",
    "ExportJobError",
    "ExportJobInvalidTransitionError",
    "ExportJobNotFoundError",
    "ExportJobQuery",
    "ExportJobState",
    "ExportJobStatus",
    "ExportMode",
    "HistoryExportContext",
    "HistoryExportContextResolver",
    "HistoryWriter",
    "LocalFolderHistoryWriter",
    "ObjectStoreClient",
    "ObjectStoreHistoryWriter",
    "build_activities",
    "orchestrator_instance_id_for",
    "run_export_instance_history",
    "run_list_terminal_instances",
]
