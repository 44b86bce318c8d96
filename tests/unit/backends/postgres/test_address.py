"""A URL is taken apart without doubt, or refused; no part of a password is ever shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.address import (
    PostgresTarget,
    for_driver,
    has_several_hosts,
    options_of,
    parse_url,
)
from durable_async.errors import ConfigurationError

SECRETS = st.text("ABCKXYZ6789@/:?#[]%&=,+é€\u2100 ", min_size=8)
"""Of characters that the messages themselves do without, in runs of four."""


@given(SECRETS)
def test_what_is_refused_or_taken_shows_no_password(secret: str) -> None:
    for written in (secret, quote(secret, safe="")):
        try:
            target = PostgresTarget(f"postgresql://me:{written}@host:5432/db")
        except ConfigurationError as error:
            shown = f"{error}{error.__context__}"
        else:
            shown = f"{target!r} {target} {target.description} {target.place}"
        assert written not in shown
        assert written[-4:] not in shown.replace("host:5432/db", "")


@given(SECRETS)
def test_a_quoted_password_is_always_taken(secret: str) -> None:
    target = PostgresTarget(f"postgresql://me:{quote(secret, safe='')}@host/db?schema_=1")
    assert target.place == "host/db"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:pa@ss@host/db",
        "postgresql://me:pass/word@host/db",
        "postgresql://me:123/word@host/db",
        "postgresql://me:123?word@host/db",
        "postgresql://me:123#word@host/db",
        "postgresql://me:pa:ss/word",
        "postgresql://host/db#fragment",
        "postgresql://[::1/db",
        "postgresql://ho\u2100st:pass@x/db",
        "mysql://host/db",
        "postgresql://host:" + "9" * 5_000,
        "postgresql://host:\u0663/db",
        "host=localhost password=secret",
    ],
)
def test_what_may_be_misread_is_refused(dsn: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        PostgresTarget(dsn)
    assert "word" not in str(refusal.value).replace("password", "")
    assert "ss" not in str(refusal.value).replace("password", "").replace("passw", "")
    assert refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://me:secret@host/db", "host/db"),
        ("postgres://host:5433/db", "host:5433/db"),
        ("postgresql://me@one:1,two:2/db", "one:1,two:2/db"),
        ("postgresql://me@[::1]:5432/db", "[::1]:5432/db"),
        ("postgresql:///db?host=/var/run/postgresql", "/var/run/postgresql/db"),
        ("postgresql://?dbname=db&password=secret", "/db"),
    ],
)
def test_the_place_is_hosts_and_database(dsn: str, place: str) -> None:
    assert PostgresTarget(dsn).place == place


@pytest.mark.parametrize(
    "schema", ["", "Upper", "1st", 'a"b', "a.b", "x" * 49, "a b", "a;drop table x", "ä", "pg_mine"]
)
def test_a_schema_is_a_plain_name(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a schema"):
        PostgresTarget("postgresql://host/db", schema=schema)


def test_options_are_taken_out_of_the_url_and_the_rest_stays() -> None:
    dsn, options = parse_url(
        "postgresql://me@host/db?sslmode=require&schema=mine&clients_max=8&letters_max=5&migrate=False"
        "&direct_dsn=postgresql%3A%2F%2Fme%40other%2Fdb&application_name=x"
    )
    assert dsn == "postgresql://me@host/db?sslmode=require&application_name=x"
    assert options == {
        "schema": "mine",
        "clients_max": 8,
        "letters_max": 5,
        "migrate": False,
        "direct_dsn": "postgresql://me@other/db",
    }


@pytest.mark.parametrize(
    "query",
    [
        "schema=",
        "schema",
        "schema=a&schema=b",
        "clients_max=0",
        "clients_max=many",
        "letters_max=-1",
        "migrate=perhaps",
        "direct_dsn=",
    ],
)
def test_senseless_options_are_refused(query: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_url(f"postgresql://host/db?{query}")


def test_an_option_stands_in_one_place() -> None:
    given = {"schema": "mine", "clients_max": None}
    assert options_of("postgresql://h/db?clients_max=2", given) == (
        "postgresql://h/db",
        {"clients_max": 2, "schema": "mine"},
    )
    with pytest.raises(ConfigurationError, match="as a keyword"):
        options_of("postgresql://h/db?schema=mine", given)


def test_the_backend_takes_the_same_text_as_the_hub() -> None:
    backend = PostgresBackend("postgresql://me:secret@h/db?schema=mine&letters_max=7")
    assert backend.letters_max == 7
    assert backend.description == "postgres h/db (schema 'mine', hub 'default')"
    assert "secret" not in repr(backend)
    with pytest.raises(ConfigurationError, match="clients_max"):
        PostgresBackend("postgresql://h/db", clients_max=0)


def test_words_of_other_drivers_do_not_reach_the_server() -> None:
    dsn, given = for_driver("postgresql://h/db?keepalives=1&sslmode=require&connect_timeout=3")
    assert dsn == "postgresql://h/db?sslmode=require"
    assert given == {"sslmode": "require"}


def test_several_hosts_are_noticed_wherever_they_stand() -> None:
    assert has_several_hosts("postgresql://one,two/db")
    assert has_several_hosts("postgresql:///db?host=one,two")
    assert not has_several_hosts("postgresql://one/a,b")
