"""Names of `durabletask.internal` that programs use."""

from __future__ import annotations

import io
import logging
import warnings
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from durabletask.grpc_options import GrpcChannelOptions
from durabletask.internal import helpers, shared
from durabletask.internal.exceptions import AbandonOrchestrationError, VersionFailureException
from durabletask.internal.json_encode_output_exception import JsonEncodeOutputException


class TestJson:
    def test_is_deprecated_where_it_is_called(self) -> None:
        with pytest.warns(DeprecationWarning, match=r"shared\.to_json is deprecated") as written:
            assert shared.to_json({"a": SimpleNamespace(b=1)}) == '{"a": {"b": 1}}'
        with pytest.warns(DeprecationWarning, match=r"shared\.from_json is deprecated") as read:
            assert shared.from_json("[1]") == [1]
        assert {str(w.filename) for w in (*written, *read)} == {__file__}

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_of_nothing_is_null(self) -> None:
        assert shared.to_json(None) == "null"

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_is_read_into_a_type_or_refused(self) -> None:
        assert shared.from_json('"5"', int) == 5
        with pytest.raises(TypeError, match="int cannot be made of str"):
            shared.from_json('"five"', int)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_marked_by_old_releases_is_a_namespace(self) -> None:
        text = f'{{"{shared.AUTO_SERIALIZED}": true, "a": 1}}'
        assert shared.from_json(text) == SimpleNamespace(a=1)
        assert shared.from_json(text, dict) == {"a": 1}

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_gives_a_hook_no_converter(self) -> None:
        class Hooked:
            @classmethod
            def from_json(cls, value: Any, converter: Any = "none") -> Any:
                return converter

        assert shared.from_json("1", Hooked) == "none"


class TestChannels:
    @pytest.mark.parametrize(
        ("given", "address"),
        [
            (None, "localhost:4001"),
            ("", "localhost:4001"),
            ("localhost:8080", "localhost:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("GRPCS://host", "host"),
        ],
    )
    def test_are_addresses(self, given: str | None, address: str) -> None:
        with shared.get_grpc_channel(given, channel_options=GrpcChannelOptions()) as channel:
            assert channel.host_address == address
        channel.close()

    async def test_are_there_for_async_clients(self) -> None:
        async with shared.get_async_grpc_channel("https://host", interceptors=[]) as channel:
            assert channel.host_address == "host"
        await channel.close(1.0)

    def test_have_a_default_address(self) -> None:
        assert shared.get_default_host_address() == "localhost:4001"


class TestLogger:
    def test_of_the_program_is_taken(self) -> None:
        own = logging.getLogger("own")
        assert shared.get_logger("client", logger=own) is own

    def test_is_made_where_there_is_none(self) -> None:
        made = shared.get_logger("client")
        assert made.name == "durabletask-client"
        (handler,) = made.handlers
        assert handler.level == logging.INFO
        assert made is not shared.get_logger("client")

    def test_writes_with_what_the_program_gives(self) -> None:
        lines = io.StringIO()
        with pytest.warns(DeprecationWarning, match="give a configured 'logger'") as caught:
            made = shared.get_logger(
                "worker", logging.StreamHandler(lines), logging.Formatter("%(name)s: %(message)s")
            )
        assert caught[0].filename == __file__
        made.warning("hello")
        assert lines.getvalue() == "durabletask-worker: hello\n"

    def test_warns_of_the_program_and_not_of_us(self) -> None:
        space: dict[str, Any] = {"__name__": "durabletask.client", "shared": shared}
        exec("def make(**given): return shared.get_logger('client', **given)", space)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            space["make"](log_formatter=logging.Formatter())
        assert caught[0].filename == __file__

    @pytest.mark.parametrize("given", ["log_handler", "log_formatter"])
    def test_is_not_given_twice(self, given: str) -> None:
        legacy: Any = {"log_handler": logging.NullHandler(), "log_formatter": logging.Formatter()}
        with pytest.raises(ValueError, match="'logger' cannot be combined"):
            shared.get_logger("client", logger=logging.getLogger(), **{given: legacy[given]})


class TestHelpers:
    def test_a_type_has_its_name_with_its_module(self) -> None:
        class InnerError(Exception):
            pass

        assert helpers.get_qualified_name(ValueError) == "builtins.ValueError"
        assert helpers.get_qualified_name(InnerError) == f"{__name__}.{InnerError.__qualname__}"
        nameless: Any = SimpleNamespace(__module__=None, __qualname__=None, __name__="x")
        assert helpers.get_qualified_name(nameless) == "x"

    def test_a_naive_time_is_in_utc(self) -> None:
        naive = datetime(2026, 1, 1)
        there = naive.replace(tzinfo=timezone(timedelta(hours=1)))
        assert helpers.ensure_aware(naive) == naive.replace(tzinfo=UTC)
        assert helpers.ensure_aware(there) is there
        assert helpers.ensure_aware(None) is None

    def test_a_status_has_its_short_name(self) -> None:
        assert helpers.get_orchestration_status_str(0) == "RUNNING"
        assert helpers.get_orchestration_status_str(2) == "CONTINUED_AS_NEW"
        assert helpers.get_orchestration_status_str(99) == "UNKNOWN"


class TestErrors:
    def test_a_result_without_text_is_named(self) -> None:
        error = JsonEncodeOutputException("<object>")
        assert error.problem_object == "<object>"
        assert str(error) == (
            "The orchestration result could not be encoded. Object details: <object>"
        )

    def test_a_version_that_does_not_fit_has_its_failure(self) -> None:
        assert VersionFailureException("details").error_details == "details"
        assert issubclass(AbandonOrchestrationError, Exception)
