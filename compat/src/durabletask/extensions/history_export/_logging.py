"""The logger of export jobs."""

from __future__ import annotations

import logging

logger = logging.getLogger("durabletask.extensions.history_export")
