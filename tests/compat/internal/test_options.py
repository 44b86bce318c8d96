"""Options for gRPC: accepted, checked as by the Durable Task SDK, and without effect."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from durabletask.grpc_options import (
    GrpcChannelOptions,
    GrpcClientResiliencyOptions,
    GrpcRetryPolicyOptions,
    GrpcWorkerResiliencyOptions,
)

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (GrpcRetryPolicyOptions, {"max_attempts": 1}, "max_attempts must be >= 2"),
    (GrpcRetryPolicyOptions, {"initial_backoff_seconds": 0}, "initial_backoff_seconds must be > 0"),
    (GrpcRetryPolicyOptions, {"max_backoff_seconds": 0}, "max_backoff_seconds must be > 0"),
    (GrpcRetryPolicyOptions, {"backoff_multiplier": 0}, "backoff_multiplier must be > 0"),
    (
        GrpcRetryPolicyOptions,
        {"initial_backoff_seconds": 2},
        "max_backoff_seconds must be >= initial_backoff_seconds",
    ),
    (GrpcRetryPolicyOptions, {"retryable_status_codes": []}, "cannot be empty"),
    (GrpcRetryPolicyOptions, {"initial_backoff_seconds": 1e-10}, "round to zero"),
    (GrpcWorkerResiliencyOptions, {"hello_timeout_seconds": 0}, "must be > 0"),
    (GrpcWorkerResiliencyOptions, {"silent_disconnect_timeout_seconds": -1}, "must be >= 0"),
    (GrpcWorkerResiliencyOptions, {"channel_recreate_failure_threshold": -1}, "must be >= 0"),
    (GrpcWorkerResiliencyOptions, {"reconnect_backoff_base_seconds": 0}, "must be > 0"),
    (GrpcWorkerResiliencyOptions, {"reconnect_backoff_cap_seconds": 0}, "must be > 0"),
    (
        GrpcWorkerResiliencyOptions,
        {"reconnect_backoff_cap_seconds": 0.5},
        "must be >= reconnect_backoff_base_seconds",
    ),
    (GrpcClientResiliencyOptions, {"channel_recreate_failure_threshold": -1}, "must be >= 0"),
    (GrpcClientResiliencyOptions, {"min_recreate_interval_seconds": -1}, "must be >= 0"),
]


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_an_option_out_of_range_is_refused(
    kind: type, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_a_retry_policy_is_written_as_grpc_has_it() -> None:
    assert GrpcRetryPolicyOptions().to_service_config() == {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.25s",
                    "backoffMultiplier": 2.0,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1.0s"), (10, "10.0s"), (1e-9, "0.000000001s"), (2.5, "2.5s")]
)
def test_durations_are_exact_to_the_nanosecond(seconds: float, text: str) -> None:
    policy = GrpcRetryPolicyOptions(initial_backoff_seconds=1e-9, max_backoff_seconds=seconds)
    (method,) = policy.to_service_config()["methodConfig"]
    assert method["retryPolicy"]["maxBackoff"] == text


def test_channel_options_have_grpcs_names() -> None:
    options = GrpcChannelOptions(
        max_receive_message_length=-1,
        max_send_message_length=0,
        keepalive_time_ms=1,
        keepalive_timeout_ms=2,
        keepalive_permit_without_calls=False,
        retry_policy=GrpcRetryPolicyOptions(),
        raw_options=[("own", "x")],
    ).to_grpc_options()
    assert options[:-1] == [
        ("own", "x"),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", 0),
        ("grpc.keepalive_time_ms", 1),
        ("grpc.keepalive_timeout_ms", 2),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.enable_retries", 1),
    ]
    name, config = options[-1]
    assert name == "grpc.service_config"
    assert json.loads(config) == GrpcRetryPolicyOptions().to_service_config()
    assert GrpcChannelOptions().to_grpc_options() == []


def test_zero_is_allowed_where_it_means_never() -> None:
    GrpcWorkerResiliencyOptions(
        silent_disconnect_timeout_seconds=0, channel_recreate_failure_threshold=0
    )
    GrpcClientResiliencyOptions(
        channel_recreate_failure_threshold=0, min_recreate_interval_seconds=0
    )


def test_nothing_of_it_imports_grpc_or_protobuf() -> None:
    modules = "grpc_options, serialization, exception_properties"
    internal = "shared, helpers, orchestrator_service_pb2, type_discovery, exceptions"
    program = (
        f"import sys\nfrom durabletask import {modules}\nfrom durabletask.internal import {internal}\n"
        "sys.exit(any(name.split('.')[0] in ('grpc', 'google') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
