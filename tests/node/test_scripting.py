"""FUNCTION and SCRIPT on a server without any: what suites call between their tests."""

from __future__ import annotations

import pytest

from redraft.rdb import payload
from support.processes import ReplyError
from support.world import Client, World


@pytest.mark.parametrize("line", ["FUNCTION FLUSH", "FUNCTION flush Async", "SCRIPT FLUSH", "SCRIPT FLUSH sync"])
def test_there_is_nothing_to_flush(client: Client, line: str) -> None:
    client("SET key 1")
    assert client(line) == b"OK"
    assert client("GET key") == b"1"


def test_the_library_is_empty(client: Client) -> None:
    assert client("FUNCTION LIST") == client("FUNCTION LIST WITHCODE LIBRARYNAME my*") == []
    assert payload.unseal(client("FUNCTION DUMP")) == b""
    assert client("SCRIPT EXISTS a b") == [0, 0]
    nothing = [b"libraries_count", 0, b"functions_count", 0]
    assert client("FUNCTION STATS") == [b"running_script", None, b"engines", [b"LUA", nothing]]
    client("HELLO 3")
    counts = {b"libraries_count": 0, b"functions_count": 0}
    assert client("FUNCTION STATS") == {b"running_script": None, b"engines": {b"LUA": counts}}


NOT_BUSY = "NOTBUSY No scripts in execution right now."


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("FUNCTION KILL", NOT_BUSY),
        ("SCRIPT KILL", NOT_BUSY),
        ("FUNCTION DELETE lib", "ERR Library not found"),
        ("FUNCTION FLUSH now", "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        (
            "FUNCTION FLUSH sync x",
            "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.",
        ),
        ("SCRIPT FLUSH now", "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        ("SCRIPT FLUSH sync x", "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        ("FUNCTION LIST withcode WITHCODE", "ERR Unknown argument WITHCODE"),
        ("FUNCTION LIST all", "ERR Unknown argument all"),
        ("FUNCTION LIST LIBRARYNAME", "ERR library name argument was not given"),
        ("FUNCTION LOAD code", "ERR unknown subcommand 'LOAD': not offered yet: Lua scripts and functions"),
        ("SCRIPT LOAD code", "ERR unknown subcommand 'LOAD': not offered yet: Lua scripts and functions"),
        ("SCRIPT EXISTS", "ERR wrong number of arguments for 'script|exists' command"),
        ("EVAL code 0", "ERR unknown command 'EVAL': not offered yet: Lua scripts and functions"),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(client: Client, line: str, text: str) -> None:
    assert client(line) == ReplyError(text)


def test_flushes_may_stand_in_a_transaction(client: Client) -> None:
    replies = client.pipeline("MULTI", "FUNCTION FLUSH", "SCRIPT FLUSH", "FUNCTION DELETE lib", "SET key 1", "EXEC")
    assert replies[-1] == [b"OK", b"OK", ReplyError("ERR Library not found"), b"OK"]


def test_flushing_functions_is_logged_and_repeated_at_a_restart_without_harm(world: World, client: Client) -> None:
    client.pipeline("SET key 1", "FUNCTION FLUSH")
    world.restart()
    assert world.connect()("GET key") == b"1"
