"""Crash sweep: small stories without chance, each played once for every call to the store, with a crash at that call."""

from __future__ import annotations


def sweep_in_words(*, store: str, planted: str | None) -> int:
    """Play the whole sweep and say what came of it; returns the exit code."""
    raise NotImplementedError
