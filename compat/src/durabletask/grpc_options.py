"""Options for gRPC channels, which are accepted and checked, and have no effect: there is no channel.

Workers and clients reach the store in process, so there is nothing that a message size, a keepalive or a reconnection could be set for. The
classes are here so that programs which set them run unchanged, and so that a mistake in them is found as before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class GrpcRetryPolicyOptions:
    """How calls over gRPC would be tried again. It has no effect here.

    Attributes:
        max_attempts: Attempts in all, at least 2.
        initial_backoff_seconds: The first wait, in seconds.
        max_backoff_seconds: The longest wait, in seconds.
        backoff_multiplier: By what a wait is longer than the one before.
        retryable_status_codes: Names of the statuses after which a call is tried again.

    Raises:
        ValueError: An option is out of its range.
    """

    max_attempts: int = 4
    initial_backoff_seconds: float = 0.05
    max_backoff_seconds: float = 0.25
    backoff_multiplier: float = 2.0
    retryable_status_codes: list[str] = field(default_factory=lambda: ["UNAVAILABLE"])

    def __post_init__(self) -> None:
        if self.max_attempts < 2:
            raise ValueError("max_attempts must be >= 2")
        _check_above_zero(
            self, "initial_backoff_seconds", "max_backoff_seconds", "backoff_multiplier"
        )
        _check_order(self, "initial_backoff_seconds", "max_backoff_seconds")
        if not self.retryable_status_codes:
            raise ValueError("retryable_status_codes cannot be empty")
        self.to_service_config()  # finds durations that round to nothing

    def to_service_config(self) -> dict[str, Any]:
        """Return the policy as gRPC's service configuration writes it."""
        policy = {
            "maxAttempts": self.max_attempts,
            "initialBackoff": _duration(self.initial_backoff_seconds),
            "maxBackoff": _duration(self.max_backoff_seconds),
            "backoffMultiplier": self.backoff_multiplier,
            "retryableStatusCodes": self.retryable_status_codes,
        }
        return {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}


@dataclass(slots=True, kw_only=True)
class GrpcChannelOptions:
    """How a gRPC channel would be set up. It has no effect here; payloads are limited by the store alone.

    Attributes:
        max_receive_message_length: Bytes of a message that is received.
        max_send_message_length: Bytes of a message that is sent.
        keepalive_time_ms: Milliseconds between pings.
        keepalive_timeout_ms: Milliseconds to wait for the answer to one.
        keepalive_permit_without_calls: Whether an idle channel pings.
        retry_policy: How calls are tried again.
        raw_options: Options by the names that gRPC gives them.
    """

    max_receive_message_length: int | None = None
    max_send_message_length: int | None = None
    keepalive_time_ms: int | None = None
    keepalive_timeout_ms: int | None = None
    keepalive_permit_without_calls: bool | None = None
    retry_policy: GrpcRetryPolicyOptions | None = None
    raw_options: list[tuple[str, Any]] = field(default_factory=list)

    def to_grpc_options(self) -> list[tuple[str, Any]]:
        """Return the options that are set, by the names that gRPC gives them; those given raw come first."""
        permit = self.keepalive_permit_without_calls
        named: dict[str, Any] = {
            "max_receive_message_length": self.max_receive_message_length,
            "max_send_message_length": self.max_send_message_length,
            "keepalive_time_ms": self.keepalive_time_ms,
            "keepalive_timeout_ms": self.keepalive_timeout_ms,
            "keepalive_permit_without_calls": None if permit is None else int(permit),
        }
        if self.retry_policy is not None:
            named["enable_retries"] = 1
            named["service_config"] = json.dumps(self.retry_policy.to_service_config())
        given = ((f"grpc.{name}", value) for name, value in named.items() if value is not None)
        return [*self.raw_options, *given]


@dataclass(slots=True, kw_only=True)
class GrpcWorkerResiliencyOptions:
    """How a worker would keep its connection. It has no effect here.

    Attributes:
        hello_timeout_seconds: Seconds to wait for the first answer.
        silent_disconnect_timeout_seconds: Seconds without a message after which the connection counts as lost; 0 for never.
        channel_recreate_failure_threshold: Failures in a row after which the channel is made anew; 0 for never.
        reconnect_backoff_base_seconds: The first wait before reconnecting, in seconds.
        reconnect_backoff_cap_seconds: The longest one, in seconds.

    Raises:
        ValueError: An option is out of its range.
    """

    hello_timeout_seconds: float = 30.0
    silent_disconnect_timeout_seconds: float = 120.0
    channel_recreate_failure_threshold: int = 5
    reconnect_backoff_base_seconds: float = 1.0
    reconnect_backoff_cap_seconds: float = 30.0

    def __post_init__(self) -> None:
        _check_above_zero(self, "hello_timeout_seconds")
        _check_not_negative(
            self, "silent_disconnect_timeout_seconds", "channel_recreate_failure_threshold"
        )
        _check_above_zero(self, "reconnect_backoff_base_seconds", "reconnect_backoff_cap_seconds")
        _check_order(self, "reconnect_backoff_base_seconds", "reconnect_backoff_cap_seconds")


@dataclass(slots=True, kw_only=True)
class GrpcClientResiliencyOptions:
    """How a client would keep its connection. It has no effect here.

    Attributes:
        channel_recreate_failure_threshold: Failures in a row after which the channel is made anew; 0 for never.
        min_recreate_interval_seconds: Seconds that a channel is kept at least.

    Raises:
        ValueError: An option is out of its range.
    """

    channel_recreate_failure_threshold: int = 5
    min_recreate_interval_seconds: float = 30.0

    def __post_init__(self) -> None:
        _check_not_negative(
            self, "channel_recreate_failure_threshold", "min_recreate_interval_seconds"
        )


def _check_above_zero(options: object, *names: str) -> None:
    for name in names:
        if getattr(options, name) <= 0:
            raise ValueError(f"{name} must be > 0")


def _check_not_negative(options: object, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 0:
            raise ValueError(f"{name} must be >= 0")


def _check_order(options: object, low: str, high: str) -> None:
    if getattr(options, high) < getattr(options, low):
        raise ValueError(f"{high} must be >= {low}")


def _duration(seconds: float) -> str:
    """Return seconds as gRPC writes them, to the nanosecond.

    Raises:
        ValueError: Nothing is left of them.
    """
    whole, _, fraction = f"{seconds:.9f}".partition(".")
    fraction = fraction.rstrip("0") or "0"
    if int(whole) == 0 and int(fraction) == 0:
        raise ValueError(f"{seconds!r} seconds round to zero nanoseconds")
    return f"{whole}.{fraction}s"
