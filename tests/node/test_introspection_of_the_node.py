"""What a client may ask about the node that is small: modules, memory, passwords, commands that are not here."""

from __future__ import annotations

import logging
import string

import pytest

from support.processes import ReplyError
from support.world import Client, World

NOT_ENABLED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local'
    " connection, otherwise you need to set this option in the configuration file, and then restart the server."
)


def test_debug_is_not_for_everybody() -> None:
    world = World(enable_debug_command="no")
    assert world.connect("127.0.0.1:1")("DEBUG SLEEP 0") == ReplyError(NOT_ENABLED)
    world = World(enable_debug_command="local")
    assert world.connect("127.0.0.1:1")("DEBUG JMAP") == b"OK"
    assert world.connect("[::1]:1")("DEBUG JMAP") == b"OK"
    assert world.connect("10.0.0.1:1")("DEBUG JMAP") == ReplyError(NOT_ENABLED)
    client = world.connect("10.0.0.1:2")
    assert client.pipeline("MULTI", "DEBUG JMAP", "EXEC")[1:] == [
        ReplyError(NOT_ENABLED),
        ReplyError("EXECABORT Transaction discarded because of previous errors."),
    ]


def test_there_are_no_modules(client: Client) -> None:
    assert client("MODULE LIST") == []
    refused = ReplyError(NOT_ENABLED.replace("DEBUG", "MODULE").replace("debug", "module"))
    assert [client("MODULE LOAD x"), client("MODULE UNLOAD x"), client("MODULE LOADEX x")] == [refused] * 3
    willing = World(enable_module_command="yes").connect()
    assert willing("MODULE LOAD x") == ReplyError("ERR Error loading the extension: redraft runs no code of others")


def test_passwords_are_made(client: Client) -> None:
    assert len(client("ACL GENPASS")) == 64
    for bits, letters in ((1, 1), (4, 1), (5, 2), (12, 3), (4096, 1024)):
        made = client("ACL", "GENPASS", bits)
        assert len(made) == letters
        assert set(made.decode()) <= set(string.hexdigits.lower())
    text = "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096"
    assert [client("ACL GENPASS 0"), client("ACL GENPASS 4097")] == [ReplyError(text)] * 2


def test_refused_passwords_are_kept_the_newest_first() -> None:
    world = World(requirepass="secret")
    client = world.connect("10.0.0.7:1234")
    client("AUTH wrong")
    client("HELLO 2 AUTH nobody secret")
    client("AUTH wrong")
    assert client("AUTH secret") == b"OK"
    world.advance(1500)
    entries = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in client("ACL LOG")]
    shown = [(e[b"count"], e[b"reason"], e[b"context"], e[b"object"], e[b"username"]) for e in entries]
    assert shown == [
        (2, b"auth", b"toplevel", b"AUTH", b"default"),
        (1, b"auth", b"toplevel", b"HELLO", b"nobody"),
    ]
    assert entries[0][b"age-seconds"] == b"1.500"
    assert b"addr=10.0.0.7:1234" in entries[0][b"client-info"]
    assert len(client("ACL LOG 1")) == 1
    assert client("ACL LOG RESET") == b"OK"
    assert client("ACL LOG") == []


def test_memory_is_talked_about(client: Client) -> None:
    assert b"nothing to be said" in client("MEMORY DOCTOR")
    assert client("MEMORY PURGE") == b"OK"
    assert b"blocks" in client("MEMORY MALLOC-STATS")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("EVAL x 0", "ERR unknown command 'EVAL': not offered yet: Lua scripts and functions"),
        ("subscribe x", "ERR unknown command 'subscribe': not offered yet: publish and subscribe"),
        ("REPLICAOF no one", "ERR unknown command 'REPLICAOF': not offered: replaced by the cluster"),
        ("SCRIPT LOAD x", "ERR unknown subcommand 'LOAD': not offered yet: Lua scripts and functions"),
        ("NOSUCH x", "ERR unknown command 'NOSUCH', with args beginning with: 'x' "),
    ],
)
def test_a_command_that_is_not_here_says_why(client: Client, line: str, text: str) -> None:
    assert client(line) == ReplyError(text)


def test_an_option_without_effect_is_told_in_the_log_when_it_is_set(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "redraft.node")
    assert client("CONFIG SET appendonly no timeout 5") == b"OK"
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("appendonly has no effect: Every write is in the Raft log")
    caplog.clear()
    client("CONFIG SET timeout 6")
    client("CONFIG SET appendonly yes")
    assert caplog.records == []
