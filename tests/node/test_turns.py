"""Fairness: what one client has of a tick, and that nothing of its replies changes by it (see `redraft.node.turns`)."""

from __future__ import annotations

from random import Random

import pytest

from redraft.node.turns import PIECE_BYTES, SLOW_PIECE_BYTES, TURN_NS
from support.fleet import Fleet, say
from support.world import Client, World

LOOK_NS = TURN_NS // 100
"""With this a turn is over after a hundred looks at the clock, one between two commands."""
PING = b"*1\r\n$4\r\nPING\r\n"


@pytest.fixture
def busy(world: World) -> World:
    """A world in which work takes time."""
    world.clock.look_ns = LOOK_NS
    return world


def test_who_comes_behind_a_flood_is_answered_in_the_same_tick(busy: World) -> None:
    flood, other = busy.connect(), busy.connect()
    flood.send(PING * 1000)
    other.send(PING)
    busy.tick()
    assert other.replies() == [b"PONG"]
    assert 0 < len(flood.replies()) < 150
    busy.settle()
    assert len(flood.replies()) > 800


@pytest.mark.parametrize("unit", [b"x\n", b"\n", b'"a"\n', b"GET k\r\n", b"*0\r\n", b"NOSUCH a b\r\n"])
def test_a_large_chunk_is_parsed_in_pieces(busy: World, unit: bytes) -> None:
    busy.clock.look_ns = TURN_NS // 2
    client, other = busy.connect(), busy.connect()
    client.send(unit * (300_000 // len(unit)))
    busy.tick()
    other.send(PING)
    assert client.session.unread
    assert client.session.parser.pending_bytes <= PIECE_BYTES
    assert len(client.session.backlog) <= max(SLOW_PIECE_BYTES, PIECE_BYTES // 4)
    busy.tick()
    assert other.replies() == [b"PONG"]


def test_a_flood_before_auth_has_turns_too(world: World) -> None:
    world = World(requirepass="secret")
    world.clock.look_ns = LOOK_NS
    client, other = world.connect(), world.connect()
    client.send(b"PING\n" * 20_000 + b"AUTH secret\r\n" + PING)
    world.tick()
    assert client.session.unread
    other.send(b"AUTH secret\r\n" + PING)
    world.tick()
    assert other.replies() == [b"OK", b"PONG"]
    while client.session.unread or client.session.backlog:
        world.tick()
    world.settle()
    replies = client.replies()
    assert len(replies) == 20_002
    assert {str(reply) for reply in replies[:20_000]} == {"NOAUTH Authentication required."}
    assert replies[20_000:] == [b"OK", b"PONG"]


def test_a_slow_read_is_followed_by_a_look_at_the_turn(world: World) -> None:
    client = world.connect()
    client("RPUSH", "l", *range(10))
    command = world.node.table.find(b"lrange")
    assert command is not None
    command.calls, command.nanoseconds = 1, 1_000_000_000
    world.clock.look_ns = TURN_NS
    client.ask(*["LRANGE l 0 -1"] * 50)
    world.tick()
    assert len(client.replies()) <= 8
    world.clock.look_ns = 0
    world.settle()
    assert len(client.replies()) >= 42


def test_writes_count_by_what_their_command_takes(world: World) -> None:
    client = world.connect()
    client("SET", "k", "v")
    command = world.node.table.find(b"set")
    assert command is not None
    command.calls, command.nanoseconds = 10, 10 * TURN_NS // 5
    client.ask(*[f"SET k{number} v" for number in range(50)])
    world.tick()
    assert world.node.statistics is not None
    assert len(client.replies()) == 5
    world.settle()
    assert len(client.replies()) == 45
    assert client("DBSIZE") == 51


def test_a_protocol_error_is_told_behind_all_that_was_sent_before(busy: World) -> None:
    client = busy.connect()
    client.send(PING * 500 + b"*1\r\n+PING\r\n" + PING * 100_000)
    busy.settle()
    *pongs, error = client.replies()
    assert pongs == [b"PONG"] * 500
    assert str(error) == "ERR Protocol error: expected '$', got '+'"
    assert client.closed
    assert not client.session.unread


def test_a_client_that_rests_and_goes_leaves_nothing(busy: World) -> None:
    client = busy.connect()
    client.send(b"x\n" * 200_000)
    busy.tick()
    assert busy.node.has_rest()
    client.hang_up()
    assert not busy.node.has_rest()
    busy.settle()


def test_a_flood_at_a_follower_has_turns() -> None:
    fleet = Fleet()
    fleet.elect()
    follower = fleet[2]
    follower.clock.look_ns = LOOK_NS
    flood, other = follower.connect(), follower.connect()
    flood.send(PING * 1000)
    other.send(PING)
    fleet.tick_all()
    assert other.replies() == [b"PONG"]
    assert len(flood.replies()) < 150
    fleet.settle()
    assert len(flood.replies()) > 800


def test_what_a_follower_passes_on_has_turns_at_the_leader() -> None:
    fleet = Fleet()
    fleet.elect()
    leader, follower = fleet[1], fleet[2]
    flood, other = follower.connect(), leader.connect()
    leader.clock.look_ns = LOOK_NS
    lines = [line for number in range(300) for line in (f"INCR n{number % 3}", f"SET k{number} v", f"GET k{number}")]
    flood.ask(*lines)
    fleet.tick_all()
    fleet.tick_all()
    assert leader.node.has_rest()
    other.send(PING)
    fleet.tick_all()
    assert other.replies() == [b"PONG"]
    fleet.settle()
    assert flood.replies() == [reply for number in range(300) for reply in (number // 3 + 1, b"OK", b"v")]


COMMANDS = [
    "SET k{0} {0}", "GET k{0}", "INCR n", "PING", "ECHO {0}", "RPUSH l {0}", "LRANGE l 0 3", "MULTI", "EXEC", "DISCARD",
    "NOSUCH {0}", "GET", "SELECT {1}", "CLIENT GETNAME", "CLIENT SETNAME c{0}", "WATCH k{0}", "UNWATCH", "DEL k{0}",
    "BLPOP l 0.01", "HELLO 3", "HELLO 2", "CLIENT REPLY SKIP", "RESET", "DBSIZE", "LPOP l", "WAIT 0 0", "OBJECT HELP",
]  # fmt: skip


def chunks(random: Random) -> list[bytes]:
    """Random commands as a client may send them, inline or not, cut anywhere."""
    parts = []
    for _ in range(random.randint(50, 400)):
        line = random.choice(COMMANDS).format(random.randint(0, 9), random.randint(0, 2)).encode()
        words = line.split()
        packed = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        parts.append(random.choice((packed, packed, packed, line + b"\r\n")))
    data = b"".join(parts)
    found = []
    while data:
        size = random.choice((1, 20, 500, 20_000))
        found.append(data[:size])
        data = data[size:]
    return found


def answered(world: World, client: Client, sent: list[bytes]) -> bytes:
    """What a client that sends chunks is answered."""
    for data in sent:
        client.send(data)
        world.tick()
    for _ in range(20):
        world.settle()
        world.advance(20)
    return client.raw


@pytest.mark.parametrize("seed", range(12))
def test_turns_change_no_reply(seed: int) -> None:
    sent = chunks(Random(seed))
    calm, busy = World(), World()
    busy.clock.look_ns = TURN_NS // Random(seed).choice((1, 2, 5, 20))
    expected = answered(calm, calm.connect("10.1.1.1:1"), sent)
    client = busy.connect("10.1.1.1:1")
    for data in sent:
        client.send(data)
    assert answered(busy, client, []) == expected


@pytest.mark.parametrize("node", [1, 2])
def test_nothing_overtakes_what_is_left_of_a_run_when_its_turn_is_over(node: int) -> None:
    """At a follower a run of reads is executed as a whole, in the middle of a chunk: what is left of it is before the
    rest of the chunk."""
    fleet = Fleet()
    fleet.elect()
    client = fleet[node].connect()
    assert say(fleet, client, "SET a 1", "SET b 2", "READONLY") == [b"OK", b"OK", b"OK"]
    # The turn is long enough to gather the reads, and too short to execute them.
    fleet[node].clock.look_ns = TURN_NS // 4
    client.ask("GET a", "STRLEN b", "EXISTS a", "SET a 3", "ECHO end", "STRLEN a", "GET a")
    fleet.pass_time(200)
    assert client.replies() == [b"1", 1, 1, b"OK", b"end", 1, b"3"]


@pytest.mark.parametrize(
    ("first", "commands"),
    [
        ("PING", ["GET k"]),
        ("READONLY", ["GET k"]),
        ("READONLY", ["SET k v", "GET k", "GET k", "GET k"]),
        ("PING", ["GET k", "SET k v", "ECHO e", "TYPE k"]),
    ],
)
def test_what_a_client_of_a_follower_has_sent_is_answered_to_its_end(first: str, commands: list[str]) -> None:
    """More than is parsed at once; and the session is blocked while the leader is asked."""
    fleet = Fleet(3)
    fleet.elect(1)
    client = fleet[2].connect()
    say(fleet, client, first)
    rounds = 40 // len(commands)
    client.ask(*[line.replace("k", "k" * 10_000) for line in commands] * rounds)
    fleet.settle()
    # A read of which nothing is demanded waits for its session's writes, of which the leader tells when time passes.
    fleet.pass_time(1000)
    assert len(client.replies()) == rounds * len(commands)


def test_who_breaks_the_protocol_behind_a_read_at_a_follower_is_told_so() -> None:
    fleet = Fleet(3)
    fleet.elect(1)
    client = fleet[2].connect()
    client.send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\nbroken\r\n")
    fleet.settle()
    none, error = client.replies()
    assert none is None
    assert "Protocol error" in str(error)
    assert client.closed


def test_what_a_client_has_sent_that_was_held_until_there_was_a_leader_elsewhere_is_answered_to_its_end() -> None:
    fleet = Fleet(3, redirect="moved")
    client = fleet[2].connect()
    client.ask(*["GET " + "k" * 1000] * 300)
    fleet.settle()
    assert client.replies() == []
    fleet.elect(1)
    fleet.settle()
    assert [str(reply)[:5] for reply in client.replies()] == ["MOVED"] * 300
