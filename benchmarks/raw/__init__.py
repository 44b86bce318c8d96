"""What the store alone allows: plain loops that make the same rows durable and do nothing else."""

from __future__ import annotations
