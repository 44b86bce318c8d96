"""The words that `durabletask.task` offers, a file for each kind."""

from __future__ import annotations
