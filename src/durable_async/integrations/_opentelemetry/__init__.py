"""What the OpenTelemetry integration is made of: spans (`tracing`, read it first), their ids, and metrics."""

from __future__ import annotations
