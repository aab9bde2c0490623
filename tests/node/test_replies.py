"""Replies: in the order of requests, not before what they tell is durable, and the same however the bytes come."""

from __future__ import annotations

from random import Random
from typing import Any

import hiredis
import pytest

from support.processes import ReplyError
from support.world import Client, World

GET_OF_A_LIST_OF_WORDS = "GET key word"
WRONG_ARITY = ReplyError("ERR wrong number of arguments for 'get' command")


def test_replies_come_in_the_order_of_requests_while_an_fsync_is_under_way(world: World, client: Client) -> None:
    world.hold = True
    client.ask("PING", "SET key 1", "PING 2", "GET key", GET_OF_A_LIST_OF_WORDS, "INCR key", "CLIENT ID", "GET key")
    world.settle()
    assert client.replies() == [b"PONG"], "what stands before the first write is not held up"
    client.ask("ECHO later", "INCR key", "NOSUCH", "GET key")
    world.settle()
    assert client.replies() == []
    world.release()
    world.settle()
    replies = client.replies()
    assert replies[:7] == [b"OK", b"2", b"1", WRONG_ARITY, 2, client.id, b"2"]
    assert replies[7:9] == [b"later", 3]
    assert str(replies[9]).startswith("ERR unknown command 'NOSUCH'")
    assert replies[10:] == [b"3"]


def test_a_write_is_answered_only_when_it_is_durable(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key value")
    world.settle()
    assert client.replies() == []
    world.restart()
    assert world.connect()("GET key") is None, "it was never on the disk, and nobody was told that it was"


def test_what_was_answered_survives_the_loss_of_the_process(world: World, client: Client) -> None:
    assert client("SET key value") == b"OK"
    world.restart()
    assert world.connect()("GET key") == b"value"


def test_others_do_not_see_a_write_that_is_not_durable(world: World, client: Client, other: Client) -> None:
    assert client("SET key old") == b"OK"
    world.hold = True
    client.ask("SET key new")
    world.settle()
    assert other("GET key") == b"old"
    world.release()
    assert client.replies() == [b"OK"]
    assert other("GET key") == b"new"


def test_a_read_behind_a_write_sees_it_and_nothing_later(world: World, client: Client, other: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "GET key", "SET key 2", "GET key")
    other.ask("SET key 3", "GET key")
    world.settle()
    world.release()
    assert client.replies() == [b"OK", b"1", b"OK", b"2"]
    assert other.replies() == [b"OK", b"3"]


def test_a_read_behind_a_write_of_an_earlier_tick_does_not_see_writes_of_later_entries(
    world: World, client: Client, other: Client
) -> None:
    world.hold = True
    client.ask("SET key 1")
    world.settle()
    client.ask("GET key")
    other.ask("SET key 2")
    world.settle()
    world.release()
    world.settle()
    assert client.replies() == [b"OK", b"1"]
    assert other.replies() == [b"OK"]


def test_writes_that_come_during_an_fsync_share_the_next_entry(world: World) -> None:
    clients = [world.connect() for _ in range(10)]
    world.hold = True
    clients[0].ask("INCR count")
    world.settle()
    before = world.node.shard.raft.last_index
    for client in clients[1:]:
        client.ask("INCR count")
        world.settle()
    world.release()
    world.settle()
    assert [client.replies() for client in clients] == [[number] for number in range(1, 11)]
    assert world.node.shard.raft.last_index == before + 1


def test_a_client_that_hangs_up_leaves_its_write_behind(world: World, client: Client, other: Client) -> None:
    world.hold = True
    client.ask("SET key value")
    world.settle()
    client.hang_up()
    world.release()
    assert other("GET key") == b"value"


COMMANDS = [
    "GET {key}", "SET {key} {number}", "INCR {key}", "APPEND {key} x", "DEL {key}", "STRLEN {key}", "EXISTS {key}",
    "MGET {key} {other}", "MSET {key} 1 {other} 2", "GETSET {key} {number}", "EXPIRE {key} 100", "PERSIST {key}",
    "TTL {key}", "RENAME {key} {other}", "TYPE {key}", "DBSIZE", "PING", "PING {number}", "ECHO {number}", "SELECT 0",
    "SELECT 1", "SELECT 99", "SWAPDB 0 1", "FLUSHDB", "MULTI", "EXEC", "DISCARD", "WATCH {key}", "UNWATCH",
    "CLIENT GETNAME", "CLIENT SETNAME name{number}", "CLIENT REPLY ON", "HELLO 2", "HELLO 3", "RESET", "NOSUCH {key}",
    "GET", "SET {key}", "INCR {key} {key}", "CLIENT NOSUCH", "OBJECT ENCODING {key}", "get {key}", "Set {key} {number}",
    "DEBUG ERROR oops", "SCAN 0", "CONFIG GET port",
]  # fmt: skip


def random_commands(random: Random, count: int) -> list[bytes]:
    """Commands on few keys, so that they meet."""
    packed = []
    for _ in range(count):
        line = random.choice(COMMANDS).format(
            key=random.choice("ab"), other=random.choice("bc"), number=random.random()
        )
        packed.append(hiredis.pack_command(tuple(line.encode().split())))
    return packed


def one_by_one(commands: list[bytes]) -> bytes:
    """The replies of a fresh node to commands, each sent when the one before was answered."""
    world = World()
    client = world.connect()
    for command in commands:
        client.send(command)
        world.settle()
        assert client.replies(), command
    return client.raw


def in_chunks(commands: list[bytes], random: Random) -> bytes:
    """The replies of a fresh node to the same bytes, cut anywhere, while the disk is slow now and then."""
    world = World()
    client = world.connect()
    data = b"".join(commands)
    cuts = sorted(random.choices(range(len(data) + 1), k=random.randrange(12)))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if random.random() < 0.3:
            world.hold = not world.hold
        if random.random() < 0.3:
            # Another client's writes make entries and ticks come apart differently.
            world.connect().ask("SELECT 5", "INCR elsewhere")
        client.send(data[start:end])
        if random.random() < 0.8:
            world.tick()
    world.release()
    world.settle()
    return client.raw


@pytest.mark.parametrize("seed", range(100))
def test_cuts_and_slow_disks_change_no_reply(seed: int) -> None:
    random = Random(seed)
    commands = random_commands(random, random.randrange(1, 40))
    assert in_chunks(commands, random) == one_by_one(commands), f"seed {seed}: {commands}"


def test_a_reply_of_every_kind_comes_behind_a_write_that_waits(world: World, client: Client) -> None:
    """Each command alone behind a write: its reply is the second, whatever road it takes."""
    for line in COMMANDS:
        fresh = World()
        sender = fresh.connect()
        fresh.hold = True
        sender.ask("SET first 1", line.format(key="k", other="o", number=1))
        fresh.settle()
        assert sender.replies() == [], line
        fresh.release()
        fresh.settle()
        replies: list[Any] = sender.replies()
        assert replies[0] == b"OK", line
        assert len(replies) == 2, line


@pytest.mark.parametrize(
    "line",
    [
        "LPOP k",
        "RPOP k 2",
        "SPOP k",
        "ZPOPMIN k",
        "ZPOPMAX k 1",
        "DEL k",
        "UNLINK k l",
        "GETDEL k",
        "HDEL k f",
        "SREM k m",
    ],
)
def test_a_write_that_finds_no_key_needs_no_entry(world: World, client: Client, line: str) -> None:
    client("SET other 1")
    last = world.log.last_index()
    replies = [client(line), client("MULTI"), client(line), client("EXEC")]
    assert replies == [replies[0], b"OK", b"QUEUED", [replies[0]]]
    assert replies[0] in (None, 0, [])
    assert world.log.last_index() == last + 1, "the transaction is logged"


def test_a_write_that_may_find_a_key_goes_behind_the_writes_that_are_under_way(world: World, client: Client) -> None:
    other = world.connect()
    world.hold = True
    client.ask("RPUSH k a")
    other.ask("LPOP k")
    world.settle()
    assert other.replies() == []
    world.release()
    assert (client.replies(), other.replies()) == ([1], [b"a"])


def test_a_key_that_is_due_is_there_until_the_log_says_that_it_is_gone(world: World, client: Client) -> None:
    client.pipeline("RPUSH k a", "PEXPIRE k 50", "DEBUG SET-ACTIVE-EXPIRE 0")
    last = world.log.last_index()
    world.advance(50)
    assert client("LPOP k") is None
    assert world.log.last_index() == last + 1
