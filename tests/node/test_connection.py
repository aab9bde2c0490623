"""HELLO, AUTH, RESET, SELECT, PING, ECHO, QUIT, and clients that break the protocol."""

from __future__ import annotations

import pytest

from support.processes import ReplyError
from support.world import Client, World

NO_AUTH = ReplyError("NOAUTH Authentication required.")
WRONG_PASS = ReplyError("WRONGPASS invalid username-password pair or user is disabled.")


@pytest.fixture
def guarded() -> World:
    """A world with a password."""
    return World(requirepass="secret")


def test_hello_tells_about_the_server_and_chooses_the_protocol(client: Client) -> None:
    shown = client("HELLO 3")
    assert shown[b"server"] == b"redis"
    assert shown[b"version"].startswith(b"7.")
    assert (shown[b"proto"], shown[b"id"], shown[b"mode"], shown[b"role"]) == (3, client.id, b"standalone", b"master")
    assert client("GET nothing") is None
    assert client.raw.endswith(b"_\r\n"), "RESP3's null"
    flat = client("HELLO 2")
    assert flat[flat.index(b"proto") + 1] == 2
    assert client("GET nothing") is None
    assert client.raw.endswith(b"$-1\r\n")


def test_hello_alone_keeps_the_protocol(client: Client) -> None:
    client("HELLO 3")
    assert client("HELLO")[b"proto"] == 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO three", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 AUTH default", "ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 ODD", "ERR Syntax error in HELLO option 'ODD'"),
        ("HELLO 3 AUTH nobody word", WRONG_PASS.args[0]),
    ],
)
def test_a_hello_that_is_refused_changes_nothing(client: Client, line: str, text: str) -> None:
    assert client(line) == ReplyError(text)
    assert client("HELLO")[1::2][2] == 2


def test_hello_names_the_connection(client: Client) -> None:
    client("HELLO 3 SETNAME me")
    assert client("CLIENT GETNAME") == b"me"
    bad = ReplyError("ERR Client names cannot contain spaces, newlines or special characters.")
    assert client(b"HELLO", b"2", b"SETNAME", b"a b") == bad
    assert client("CLIENT GETNAME") == b"me"


def test_replies_promised_before_hello_are_in_the_old_protocol(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "GET nothing", "HELLO 3", "GET nothing")
    world.settle()
    world.release()
    world.settle()
    first, _, rest = client.raw.partition(b"%")
    assert first == b"+OK\r\n$-1\r\n"
    assert rest.endswith(b"_\r\n")


# Passwords.


def test_without_the_password_only_a_few_commands_are_served(guarded: World) -> None:
    client = guarded.connect()
    for line in ("PING", "GET key", "SET key 1", "INFO", "CLIENT ID", "MULTI", "COMMAND", "CONFIG GET port"):
        assert client(line) == NO_AUTH, line
    assert str(client("HELLO 3")).startswith("NOAUTH HELLO must be called with the client already authenticated")
    assert client("RESET") == b"RESET"
    assert client("QUIT") == b"OK"
    assert client.closed
    inside = guarded.connect()
    inside("AUTH secret")
    assert inside("DBSIZE") == 0


@pytest.mark.parametrize("line", ["AUTH secret", "AUTH default secret", "HELLO 3 AUTH default secret"])
def test_the_password_lets_in(guarded: World, line: str) -> None:
    client = guarded.connect()
    assert not isinstance(client(line), ReplyError)
    assert client("SET key 1") == b"OK"


@pytest.mark.parametrize(
    "line", ["AUTH wrong", "AUTH secre", "AUTH secrets", "AUTH default wrong", "AUTH nobody secret",
             "HELLO 3 AUTH default wrong"],
)  # fmt: skip
def test_a_wrong_password_does_not_let_in(guarded: World, line: str) -> None:
    client = guarded.connect()
    assert client(line) == WRONG_PASS
    assert client("PING") == NO_AUTH


def test_a_wrong_password_does_not_put_out_who_is_in(guarded: World) -> None:
    client = guarded.connect()
    client("AUTH secret")
    assert client("AUTH wrong") == WRONG_PASS
    assert client("PING") == b"PONG"


def test_commands_behind_auth_in_one_chunk_are_served(guarded: World) -> None:
    pairs = " ".join(f"key{number} {number}" for number in range(50))
    replies = guarded.connect().pipeline("PING", "AUTH secret", "PING", f"MSET {pairs}", "GET key49")
    assert replies == [NO_AUTH, b"OK", b"PONG", b"OK", b"49"]


def test_a_client_that_is_not_in_may_not_send_much(guarded: World) -> None:
    client = guarded.connect()
    assert client.pipeline("MSET " + "word " * 20) == [
        ReplyError("ERR Protocol error: unauthenticated multibulk length")
    ]
    assert client.closed
    client = guarded.connect()
    assert client.pipeline("AUTH " + "x" * 20_000) == [ReplyError("ERR Protocol error: unauthenticated bulk length")]
    assert client.closed


def test_reset_puts_out_who_was_in(guarded: World) -> None:
    client = guarded.connect()
    client("AUTH secret")
    client("RESET")
    assert client("PING") == NO_AUTH


def test_auth_without_a_password_set_says_so(client: Client) -> None:
    assert client("AUTH word") == ReplyError(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your"
        " configuration is correct?"
    )
    assert client("AUTH default word") == b"OK", "the default user needs none"
    assert client("AUTH one two three") == ReplyError("ERR syntax error")


def test_a_password_set_while_running_holds_for_new_connections(world: World, client: Client) -> None:
    client("CONFIG SET requirepass secret")
    assert client("PING") == b"PONG", "who is in stays in"
    late = world.connect()
    assert late("PING") == NO_AUTH
    client(b"CONFIG", b"SET", b"requirepass", b"")
    assert late("PING") == b"PONG"
    assert world.connect()("PING") == b"PONG"


# RESET, SELECT and the small ones.


def test_reset_makes_a_connection_as_good_as_new(world: World, client: Client) -> None:
    client.pipeline("HELLO 3 SETNAME me", "SELECT 3", "CLIENT NO-EVICT on", "WATCH key", "MULTI", "SET key 1")
    assert client("RESET") == b"RESET"
    assert client("CLIENT GETNAME") is None
    assert client.raw.endswith(b"$-1\r\n"), "RESP2 again"
    line = client("CLIENT INFO").decode()
    for field in ("db=0", "multi=-1", "watch=0", "resp=2", "flags=N"):
        assert f" {field} " in line
    assert client("EXEC") == ReplyError("ERR EXEC without MULTI")
    assert world.node.watches.watchers == {}


def test_reset_ends_client_reply_off(client: Client) -> None:
    assert client.pipeline("CLIENT REPLY OFF", "PING", "RESET", "PING") == [b"RESET", b"PONG"]


def test_each_database_has_its_own_keys(world: World, client: Client) -> None:
    for number in range(16):
        assert client(f"SELECT {number}") == b"OK"
        assert client(f"SET key {number}") == b"OK"
    assert client.pipeline("SELECT 7", "GET key", "SELECT 0", "GET key") == [b"OK", b"7", b"OK", b"0"]
    assert world.connect()("GET key") == b"0", "another connection begins in database 0"


def test_a_database_that_is_not_there_cannot_be_selected(client: Client) -> None:
    client("SELECT 2")
    for word in ("16", "-1"):
        assert client(f"SELECT {word}") == ReplyError("ERR DB index is out of range")
    for word in ("one", "1x", "99999999999999999999"):
        assert isinstance(client(f"SELECT {word}"), ReplyError)
    assert " db=2 " in client("CLIENT INFO").decode()


def test_ping_and_echo_answer_what_they_are_given(client: Client) -> None:
    assert client("PING") == b"PONG"
    assert client("ping", "hello") == b"hello"
    assert client("ECHO", b"\x00\r\n\xff") == b"\x00\r\n\xff"
    assert client("PING a b") == ReplyError("ERR wrong number of arguments for 'ping' command")


def test_quit_closes_behind_all_replies(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "QUIT", "SET key 2")
    world.settle()
    assert not client.closed
    world.release()
    assert client.replies() == [b"OK", b"OK"]
    assert client.closed
    assert world.connect()("GET key") == b"1", "nothing behind QUIT is done"


# Clients that break the protocol.

BROKEN = [
    (b"*1\r\n!bad\r\n", "ERR Protocol error: expected '$', got '!'"),
    (b"*x\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$600000000\r\n", "ERR Protocol error: invalid bulk length"),
    (b'PING "unbalanced\r\n', "ERR Protocol error: unbalanced quotes in request"),
]


@pytest.mark.parametrize(("data", "text"), BROKEN)
def test_a_broken_request_is_answered_and_closed(world: World, client: Client, data: bytes, text: str) -> None:
    client.send(data)
    world.settle()
    assert client.replies() == [ReplyError(text)]
    assert client.closed


@pytest.mark.parametrize(("data", "text"), BROKEN)
def test_what_stands_before_a_broken_request_is_done_and_answered_first(
    world: World, client: Client, data: bytes, text: str
) -> None:
    world.hold = True
    client.send(b"SET key 1\r\nGET key\r\nHELLO 3\r\nINCR key\r\n" + data + b"SET key 9\r\n")
    world.settle()
    assert client.replies() == []
    world.release()
    world.settle()
    replies = client.replies()
    assert [replies[0], replies[1], replies[2][b"proto"], replies[3]] == [b"OK", b"1", 3, 2]
    assert replies[4:] == [ReplyError(text)]
    assert client.closed
    assert world.connect()("GET key") == b"2"


def test_a_broken_request_waits_behind_a_pause(world: World, client: Client, other: Client) -> None:
    other("CLIENT PAUSE 100")
    client.send(b"SET key 1\r\n*x\r\n")
    world.settle()
    assert client.raw == b""
    assert not client.closed
    world.advance(100)
    world.settle()
    assert client.replies() == [b"OK", ReplyError("ERR Protocol error: invalid multibulk length")]
    assert client.closed


def test_an_unfinished_request_over_the_query_buffer_limit_closes_the_connection(
    world: World, client: Client, other: Client
) -> None:
    assert other("CONFIG SET client-query-buffer-limit 1mb") == b"OK", "it holds for who is connected already"
    client.send(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n")
    client.send(b"x" * 1_000_000)
    world.settle()
    assert not client.closed
    client.send(b"x" * 100_000)
    world.settle()
    assert client.closed
    assert other("PING") == b"PONG"


def test_a_long_argument_is_refused_by_its_announcement(world: World, client: Client) -> None:
    assert client("CONFIG SET proto-max-bulk-len 1mb") == b"OK"
    late = world.connect()
    late.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
    world.settle()
    assert late.replies() == [ReplyError("ERR Protocol error: invalid bulk length")]
    assert late.closed
    assert len(world.connect()(b"ECHO", b"x" * 1_048_576)) == 1_048_576
