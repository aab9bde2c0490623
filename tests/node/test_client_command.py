"""CLIENT: what a connection may ask about itself and others, and do to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redraft.commands.table import TABLE
from redraft.errors import CommandError
from redraft.node.session import Blocked
from support.processes import ReplyError
from support.world import Client, World


def fields(line: bytes) -> dict[str, str]:
    """A line of CLIENT LIST."""
    return dict(word.split("=", 1) for word in line.decode().rstrip("\n").split(" "))


def listed(client: Client, *words: str) -> list[dict[str, str]]:
    """CLIENT LIST, parsed."""
    return [fields(line) for line in client("CLIENT", "LIST", *words).splitlines()]


def test_ids_are_given_once_and_ascend(world: World) -> None:
    ids = []
    for _ in range(3):
        client = world.connect()
        ids.append(client("CLIENT ID"))
        client.hang_up()
    assert ids == sorted(set(ids))


def test_a_name_is_kept_and_taken_away(client: Client) -> None:
    assert client("CLIENT GETNAME") is None
    assert client("CLIENT SETNAME me") == b"OK"
    assert client("CLIENT GETNAME") == b"me"
    assert client(b"CLIENT", b"SETNAME", b"") == b"OK"
    assert client("CLIENT GETNAME") is None


@pytest.mark.parametrize("name", [b"two words", b"line\n", b"\x00", b"\xff"])
def test_a_name_that_would_break_client_list_is_refused(client: Client, name: bytes) -> None:
    bad = "ERR Client names cannot contain spaces, newlines or special characters."
    assert client(b"CLIENT", b"SETNAME", name) == ReplyError(bad)
    assert client("CLIENT GETNAME") is None


def test_a_library_tells_its_name_and_version(client: Client) -> None:
    assert client("CLIENT SETINFO lib-name redis-py") == b"OK"
    assert client("CLIENT SETINFO LIB-VER 5.0") == b"OK"
    shown = fields(client("CLIENT INFO"))
    assert (shown["lib-name"], shown["lib-ver"]) == ("redis-py", "5.0")
    assert client("CLIENT SETINFO lib-colour red") == ReplyError("ERR Unrecognized option 'lib-colour'")
    assert isinstance(client(b"CLIENT", b"SETINFO", b"lib-name", b"a b"), ReplyError)


def test_client_info_is_the_connection_s_line_of_client_list(world: World, client: Client, other: Client) -> None:
    client.pipeline("SELECT 3", "CLIENT SETNAME me", "WATCH a b")
    world.advance(5000)
    shown = fields(client("CLIENT INFO"))
    assert shown["id"] == str(client.id)
    assert (shown["addr"], shown["laddr"]) == (client.session.address, "127.0.0.1:6379")
    assert (shown["name"], shown["db"], shown["watch"], shown["multi"]) == ("me", "3", "2", "-1")
    assert (shown["age"], shown["cmd"], shown["user"], shown["resp"]) == ("5", "client|info", "default", "2")
    mine = next(line for line in listed(other) if line["id"] == shown["id"])
    assert mine == shown


def test_client_list_tells_of_every_connection_by_age(world: World, client: Client, other: Client) -> None:
    third = world.connect(unix=True)
    client.pipeline("MULTI", "SET key 1")
    third("CLIENT NO-EVICT on")
    third("CLIENT NO-TOUCH on")
    lines = listed(other)
    assert [line["id"] for line in lines] == [str(each.id) for each in (client, other, third)]
    assert lines[0]["flags"] == "x"
    assert lines[0]["multi"] == "1"
    assert int(lines[0]["multi-mem"]) == len("SETkey1")
    assert set(lines[2]["flags"]) == {"U", "e", "T"}
    assert lines[1]["cmd"] == "client|list"
    assert lines[2]["cmd"] == "client|no-touch"
    third.hang_up()
    assert len(listed(other)) == 2


def test_client_list_chooses_by_id_and_by_type(client: Client, other: Client) -> None:
    assert [line["id"] for line in listed(client, "ID", str(other.id), "99")] == [str(other.id)]
    assert len(listed(client, "TYPE", "normal")) == 2
    for kind in ("master", "replica", "slave", "pubsub"):
        assert listed(client, "TYPE", kind) == []
    assert client("CLIENT LIST TYPE odd") == ReplyError("ERR Unknown client type 'odd'")
    assert client("CLIENT LIST ID one") == ReplyError("ERR Invalid client ID")
    assert client("CLIENT LIST ODD odd") == ReplyError("ERR syntax error")


def test_idle_is_the_time_since_the_last_command(world: World, client: Client, other: Client) -> None:
    world.advance(7000)
    other("PING")
    world.advance(2000)
    idle = {line["id"]: line["idle"] for line in listed(client)}
    assert idle[str(other.id)] == "2"


# CLIENT KILL.


def test_kill_by_address_in_the_old_form(client: Client, other: Client) -> None:
    assert client(f"CLIENT KILL {other.session.address}") == b"OK"
    assert other.closed
    assert client(f"CLIENT KILL {other.session.address}") == ReplyError("ERR No such client")


def test_who_kills_itself_is_answered_first(client: Client) -> None:
    assert client.pipeline(f"CLIENT KILL {client.session.address}", "SET key 1") == [b"OK"]
    assert client.closed


FILTERS: dict[str, tuple[Callable[[Client], str], str]] = {
    "ID": (lambda c: f"ID {c.id}", "b"),
    "ADDR": (lambda c: f"ADDR {c.session.address}", "b"),
    "LADDR": (lambda c: "LADDR 127.0.0.1:6379", "abc"),
    "TYPE": (lambda c: "TYPE normal", "abc"),
    "another TYPE": (lambda c: "TYPE pubsub", ""),
    "USER": (lambda c: "USER default", "abc"),
    "two that agree": (lambda c: f"ID {c.id} ADDR {c.session.address}", "b"),
    "two that do not": (lambda c: f"ID {c.id} TYPE replica", ""),
    "an ID that is not there": (lambda c: "ID 9999", ""),
    "an address that is not there": (lambda c: "ADDR 10.0.0.1:1", ""),
}


@pytest.mark.parametrize("skip_me", ["", " SKIPME yes", " SKIPME no"])
@pytest.mark.parametrize("name", FILTERS)
def test_kill_closes_exactly_those_that_match_every_filter(world: World, name: str, skip_me: str) -> None:
    clients = {letter: world.connect() for letter in "abc"}
    words, matching = FILTERS[name]
    expected = set(matching) - (set() if skip_me.endswith("no") else {"a"})
    assert clients["a"]("CLIENT KILL " + words(clients["b"]) + skip_me) == len(expected)
    assert {letter for letter, each in clients.items() if each.closed} == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("ID 0", "ERR client-id should be greater than 0"),
        ("ID one", "ERR client-id should be greater than 0"),
        ("TYPE odd", "ERR Unknown client type 'odd'"),
        ("USER nobody", "ERR No such user 'nobody'"),
        ("SKIPME maybe", "ERR syntax error"),
        ("ODD 1", "ERR syntax error"),
        ("ID 1 ADDR", "ERR syntax error"),
    ],
)
def test_a_filter_that_is_not_understood_kills_nobody(client: Client, other: Client, words: str, text: str) -> None:
    assert client("CLIENT KILL " + words) == ReplyError(text)
    assert not other.closed


def test_a_killed_client_s_write_under_way_is_kept(world: World, client: Client, other: Client) -> None:
    world.hold = True
    client.ask("SET key 1")
    world.settle()
    assert other(f"CLIENT KILL ID {client.id}") == 1
    assert client.closed
    world.release()
    assert other("GET key") == b"1"


# CLIENT PAUSE.


def test_a_pause_puts_off_all_commands_and_nothing_is_lost(world: World, client: Client, other: Client) -> None:
    assert client("CLIENT PAUSE 100") == b"OK"
    assert other.pipeline("SET key 1", "PING", "GET key") == []
    assert client.pipeline("PING") == [], "the one that asked waits too"
    world.advance(99)
    assert other.replies() == []
    world.advance(1)
    world.settle()
    assert other.replies() == [b"OK", b"PONG", b"1"]
    assert client.replies() == [b"PONG"]
    assert other("PING") == b"PONG"


def test_a_pause_of_writes_lets_reads_through(world: World, client: Client, other: Client) -> None:
    client("SET key 1")
    assert client("CLIENT PAUSE 100 WRITE") == b"OK"
    assert other.pipeline("GET key", "PING") == [b"1", b"PONG"]
    assert other.pipeline("SET key 2", "GET key") == []
    assert client("GET key") == b"1"
    world.advance(100)
    world.settle()
    assert other.replies() == [b"OK", b"2"]


def test_a_pause_of_writes_puts_off_transactions_that_write(world: World, client: Client, other: Client) -> None:
    client("CLIENT PAUSE 100 WRITE")
    assert client.pipeline("MULTI", "GET key", "EXEC") == [b"OK", b"QUEUED", [None]]
    assert other.pipeline("MULTI", "SET key 1", "EXEC") == [b"OK", b"QUEUED"]
    world.advance(100)
    world.settle()
    assert other.replies() == [[b"OK"]]


def test_unpause_ends_a_pause_at_once(world: World, client: Client, other: Client) -> None:
    client("CLIENT PAUSE 100000")
    assert other.pipeline("SET key 1") == []
    third = world.connect()
    assert third("CLIENT UNPAUSE") == b"OK"
    assert other.replies() == [b"OK"]
    world.advance(100_000)
    assert third("CLIENT UNPAUSE") == b"OK", "there need not be a pause"


def test_a_longer_pause_outlasts_a_shorter_one(world: World, client: Client, other: Client) -> None:
    client("CLIENT PAUSE 200 WRITE")
    client("CLIENT PAUSE 50 WRITE")
    assert other.pipeline("SET key 1") == []
    world.advance(100)
    assert other.replies() == []
    world.advance(100)
    world.settle()
    assert other.replies() == [b"OK"]


def test_a_client_that_leaves_while_paused_is_forgotten(world: World, client: Client, other: Client) -> None:
    client("CLIENT PAUSE 100")
    assert other.pipeline("SET key 1") == []
    other.hang_up()
    world.advance(100)
    world.settle()
    assert client("GET key") is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("soon", "ERR timeout is not an integer or out of range"),
        ("-1", "ERR timeout is negative"),
        ("10 SOME", "ERR CLIENT PAUSE mode must be WRITE or ALL"),
    ],
)
def test_a_pause_that_is_not_understood_pauses_nobody(client: Client, words: str, text: str) -> None:
    assert client("CLIENT PAUSE " + words) == ReplyError(text)
    assert client("SET key 1") == b"OK"


# CLIENT REPLY.


def test_reply_off_silences_everything_until_on(world: World, client: Client, other: Client) -> None:
    silent = [
        "SET key 1",
        "GET key",
        "NOSUCH",
        "GET",
        "PING",
        "MULTI",
        "INCR key",
        "EXEC",
        "HELLO 2",
        "CLIENT REPLY SKIP",
    ]
    assert client.pipeline("CLIENT REPLY OFF", *silent) == []
    assert other("GET key") == b"2", "all was done"
    assert client.pipeline("GET key", "CLIENT REPLY ON", "GET key") == [b"OK", b"2"]


@pytest.mark.parametrize("line", ["SET key 1", "GET key", "NOSUCH", "GET", "PING", "MULTI"])
def test_reply_skip_silences_one_command(client: Client, line: str) -> None:
    assert client.pipeline("CLIENT REPLY SKIP", line, "ECHO next") == [b"QUEUED" if line == "MULTI" else b"next"]


def test_reply_skip_silences_a_command_that_blocks(world: World, client: Client) -> None:
    client.ask("CLIENT REPLY SKIP", "SAVE", "PING")
    world.settle()
    world.run_jobs()
    world.settle()
    assert client.replies() == [b"PONG"]


def test_replies_promised_before_reply_off_still_come(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "CLIENT REPLY OFF", "SET key 2")
    world.settle()
    world.release()
    world.settle()
    assert client.replies() == [b"OK"]


def test_quit_while_silent_says_nothing(client: Client) -> None:
    assert client.pipeline("CLIENT REPLY OFF", "QUIT") == []
    assert client.closed


# The others.


def test_switches_take_on_and_off_only(client: Client) -> None:
    for switch in ("NO-EVICT", "NO-TOUCH"):
        assert client(f"CLIENT {switch} on") == b"OK"
        assert client(f"CLIENT {switch} OFF") == b"OK"
        assert client(f"CLIENT {switch} perhaps") == ReplyError("ERR syntax error")
    assert fields(client("CLIENT INFO"))["flags"] == "N"


def test_client_side_caching_is_off(client: Client) -> None:
    assert client("CLIENT GETREDIR") == -1
    assert client("CLIENT TRACKINGINFO") == [b"flags", [b"off"], b"redirect", -1, b"prefixes", []]
    client("HELLO 3")
    assert client("CLIENT TRACKINGINFO") == {b"flags": [b"off"], b"redirect": -1, b"prefixes": []}


def block(world: World, client: Client) -> None:
    """Block a client as a command with a timeout would."""
    node = world.node
    node.block(client.session, Blocked("pop", on_timeout=lambda: node.unblock(client.session, None)))


def test_unblock_ends_a_block_as_its_timeout_would_or_with_an_error(
    world: World, client: Client, other: Client
) -> None:
    for words, reply in (
        ("", None),
        (" TIMEOUT", None),
        (" ERROR", ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
    ):
        block(world, client)
        client.ask("PING")
        world.settle()
        assert client.replies() == []
        assert fields(other("CLIENT", "LIST", "ID", str(client.id)))["flags"] == "b"
        assert other(f"CLIENT UNBLOCK {client.id}{words}") == 1
        assert client.replies() == [reply, b"PONG"]


def test_there_is_nothing_to_unblock_in_a_client_that_is_not_blocked_or_only_paused(
    world: World, client: Client, other: Client
) -> None:
    assert other(f"CLIENT UNBLOCK {client.id}") == 0
    assert other("CLIENT UNBLOCK 9999") == 0
    other("CLIENT PAUSE 100 WRITE")
    assert client.pipeline("SET key 1") == []
    assert other(f"CLIENT UNBLOCK {client.id}") == 0
    assert other("CLIENT UNBLOCK one") == ReplyError("ERR value is not an integer or out of range")
    assert isinstance(other(f"CLIENT UNBLOCK {client.id} GENTLY"), ReplyError)


def test_help_names_every_sub_command(client: Client) -> None:
    shown = {line.decode().split()[0] for line in client("CLIENT HELP")[1:]}
    command = TABLE.maybe_get(b"client")
    assert command is not None
    assert {name.decode().upper() for name in command.subcommands} <= shown


def test_errors_are_not_raised_by_describing_a_client_in_any_state(world: World, client: Client, other: Client) -> None:
    """CLIENT LIST meets clients that are blocked, being closed, watching, in a transaction, and behind a write."""
    client.ask("WATCH key", "MULTI")
    world.settle()
    other("SET key 1")
    assert "d" in next(line for line in listed(other) if line["id"] == str(client.id))["flags"]
    world.hold = True
    third = world.connect()
    third.ask("SET key 2", "QUIT")
    block(world, world.connect())
    assert {line["flags"] for line in listed(other)} >= {"N", "c", "b"}
    assert not isinstance(other("CLIENT LIST"), CommandError)


CACHING_ALONE = (
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)
NO_TRACKING = "ERR Client-side caching is not supported: this server sends no invalidation messages"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("CLIENT TRACKING ON", NO_TRACKING),
        ("CLIENT TRACKING on BCAST PREFIX a PREFIX b NOLOOP", NO_TRACKING),
        ("CLIENT TRACKING maybe", "ERR syntax error"),
        ("CLIENT TRACKING ON colour", "ERR syntax error"),
        ("CLIENT TRACKING ON PREFIX", "ERR syntax error"),
        ("CLIENT TRACKING ON PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"),
        ("CLIENT TRACKING ON BCAST OPTIN", "ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("CLIENT TRACKING ON OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        ("CLIENT TRACKING OFF REDIRECT x", "ERR value is not an integer or out of range"),
        ("CLIENT TRACKING OFF REDIRECT 999", "ERR The client ID you want redirect to does not exist"),
        ("CLIENT CACHING yes", CACHING_ALONE),
        ("CLIENT CACHING what", CACHING_ALONE),
    ],
)
def test_client_side_caching_is_refused_in_plain_words(client: Client, line: str, text: str) -> None:
    assert client(line) == ReplyError(text)


def test_tracking_may_be_turned_off_and_redirects_to_one_client(client: Client) -> None:
    assert client("CLIENT TRACKING OFF") == client("CLIENT TRACKING off PREFIX a NOLOOP") == b"OK"
    assert client(f"CLIENT TRACKING OFF REDIRECT {client.id}") == b"OK"
    twice = client(f"CLIENT TRACKING ON REDIRECT {client.id} REDIRECT {client.id}")
    assert twice == ReplyError("ERR A client can only redirect to a single other client")
