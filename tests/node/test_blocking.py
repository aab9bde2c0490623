"""Blocked clients of a node: who is served, by which entry, and everything that may come between."""

from __future__ import annotations

import pytest

from support.processes import ReplyError
from support.world import Client, World

UNBLOCKED = ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")


def blocked(world: World, *commands: str) -> Client:
    """A new client that sent commands and got no answer."""
    client = world.connect()
    assert client.pipeline(*commands) == []
    return client


# Serving.


def test_a_push_serves_who_waits_and_keeps_nothing(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    assert client("RPUSH list a") == 1
    assert waiting.replies() == [[b"list", b"a"]]
    assert client("EXISTS list") == 0
    assert world.node.shard.keyspace.waiters.by_token == {}


def test_those_who_wait_are_served_in_order_of_arrival(world: World, client: Client) -> None:
    waiting = [blocked(world, f"BLPOP other{n} list 0") for n in range(4)]
    assert client("RPUSH list a b c") == 3
    assert [each.replies() for each in waiting] == [[[b"list", b"a"]], [[b"list", b"b"]], [[b"list", b"c"]], []]
    assert client("RPUSH other3 d") == 1
    assert waiting[3].replies() == [[b"other3", b"d"]]


def test_a_wait_and_the_push_may_be_in_one_entry(world: World) -> None:
    first, second, pusher = world.connect(), world.connect(), world.connect()
    before = world.node.shard.raft.last_index
    second.ask("BLPOP list 0")
    first.ask("BLPOP list 0")
    pusher.ask("RPUSH list a", "LPUSH list b", "LLEN list")
    world.settle()
    assert second.replies() == [[b"list", b"a"]]
    assert first.replies() == [[b"list", b"b"]]
    assert pusher.replies() == [1, 1, 0]
    assert world.node.shard.raft.last_index == before + 1


def test_a_transaction_is_over_before_anybody_is_served(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    client.pipeline("MULTI", "RPUSH list a", "DEL list", "EXEC")
    assert waiting.replies() == []
    assert client.pipeline("MULTI", "RPUSH list a", "LPUSH list b", "EXEC")[-1] == [1, 2]
    assert waiting.replies() == [[b"list", b"b"]]


def test_the_key_that_was_ready_first_is_looked_at_first(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP one two 0")
    client.pipeline("MULTI", "RPUSH two b", "RPUSH one a", "EXEC")
    assert waiting.replies() == [[b"two", b"b"]]
    assert client("LRANGE one 0 -1") == [b"a"]


def test_moves_are_linked(world: World, client: Client) -> None:
    last = blocked(world, "BLPOP c 0")
    second = blocked(world, "BRPOPLPUSH b c 0")
    first = blocked(world, "BLMOVE a b LEFT LEFT 0")
    client("RPUSH a x")
    assert (first.replies(), second.replies(), last.replies()) == ([b"x"], [b"x"], [[b"c", b"x"]])
    assert client("DBSIZE") == 0


def test_a_move_onto_itself_ends(world: World, client: Client) -> None:
    waiting = blocked(world, "BRPOPLPUSH a a 0")
    client("RPUSH a x y")
    assert waiting.replies() == [b"y"]
    assert client("LRANGE a 0 -1") == [b"y", b"x"]


def test_a_move_to_a_key_of_another_type_is_refused_and_takes_nothing(world: World, client: Client) -> None:
    waiting, behind = blocked(world, "BLMOVE a b LEFT LEFT 0"), blocked(world, "BLPOP a 0")
    client("SET b 1")
    client("RPUSH a x")
    assert [type(reply) for reply in waiting.replies()] == [ReplyError]
    assert behind.replies() == [[b"a", b"x"]]


@pytest.mark.parametrize(
    "ready", ["SET list 1", "ZADD list 1 a", "DEL list", "EXPIRE list 100", "SADD other x"], ids=lambda line: line
)
def test_what_is_no_list_wakes_nobody(world: World, client: Client, ready: str) -> None:
    waiting = blocked(world, "BLPOP list 0")
    client(ready)
    assert waiting.replies() == []
    client("DEL list")
    client("RPUSH list a")
    assert waiting.replies() == [[b"list", b"a"]]


@pytest.mark.parametrize(
    "ready",
    [
        ["RENAME source list"], ["COPY source list"], ["SELECT 1", "RPUSH list a", "MOVE list 0"],
        ["SELECT 1", "RPUSH list a", "SWAPDB 0 1"], ["LMOVE source list LEFT LEFT"],
    ],
)  # fmt: skip
def test_whatever_brings_a_list_wakes(world: World, client: Client, ready: list[str]) -> None:
    client("RPUSH source a")
    waiting = blocked(world, "BLPOP list 0")
    client.pipeline(*ready)
    assert waiting.replies() == [[b"list", b"a"]]


def test_a_restored_list_wakes(world: World, client: Client) -> None:
    client("RPUSH source a")
    payload = client("DUMP source")
    waiting = blocked(world, "BLPOP list 0")
    client("RESTORE", "list", "0", payload)
    assert waiting.replies() == [[b"list", b"a"]]


def test_sorted_sets_and_lists_are_told_apart(world: World, client: Client) -> None:
    of_set, of_list = blocked(world, "BZPOPMIN key 0"), blocked(world, "BLPOP key 0")
    client("ZADD key 1.5 a 2 b")
    assert of_set.replies() == [[b"key", b"a", b"1.5"]]
    assert of_list.replies() == []
    of_most = blocked(world, "BZMPOP 0 1 nothing MAX COUNT 2")
    client("ZADD nothing 1 x 2 y 3 z")
    assert of_most.replies() == [[b"nothing", [[b"z", b"3"], [b"y", b"2"]]]]


def test_databases_are_told_apart(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    client.pipeline("SELECT 1", "RPUSH list a")
    assert waiting.replies() == []


# What a blocked client does.


def test_what_is_sent_behind_a_wait_is_done_after_it(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0", "RPUSH list b", "LRANGE list 0 -1", "PING")
    client("RPUSH list a")
    assert waiting.replies() == [[b"list", b"a"], 1, [b"b"], b"PONG"]


def test_what_was_sent_before_a_wait_is_done_first(world: World, client: Client) -> None:
    world.hold = True
    waiting = world.connect()
    waiting.ask("SET key 1", "BLPOP list 0")
    world.settle()
    assert waiting.replies() == []
    world.release()
    world.settle()
    assert waiting.replies() == [b"OK"]
    client("RPUSH list a")
    assert waiting.replies() == [[b"list", b"a"]]


def test_nothing_blocks_in_a_transaction(client: Client) -> None:
    client.pipeline("MULTI", "BLPOP list 0", "BLMOVE a b LEFT LEFT 0", "BZPOPMIN key 0", "BLMPOP 0 1 a LEFT")
    assert client("EXEC") == [None, None, None, None]
    assert client("PING") == b"PONG"


def test_a_client_that_wants_no_replies_blocks_too(world: World, client: Client) -> None:
    waiting = blocked(world, "CLIENT REPLY OFF", "BLPOP list 0", "SET key 1")
    assert client("GET key") is None
    client("RPUSH list a")
    assert client("GET key") == b"1"
    assert client("EXISTS list") == 0
    assert waiting.replies() == []


# Time.


def test_a_wait_ends_with_its_time(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0.1", "PING")
    world.advance(99)
    world.settle()
    assert waiting.replies() == []
    world.advance(1)
    world.settle()
    assert waiting.replies() == [None, b"PONG"]
    assert client("RPUSH list a") == 1
    assert client("LLEN list") == 1


def test_a_push_before_the_end_of_time_in_the_log_wins(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 1")
    world.hold = True
    client.ask("RPUSH list a")
    world.settle()
    world.advance(2000)
    world.settle()
    assert waiting.replies() == []
    world.release()
    world.settle()
    assert waiting.replies() == [[b"list", b"a"]]


# Ends from outside.


def test_client_unblock(world: World, client: Client) -> None:
    first, second = blocked(world, "BLPOP list 0"), blocked(world, "BLPOP list 0")
    assert client(f"CLIENT UNBLOCK {first.id}") == 1
    assert client(f"CLIENT UNBLOCK {second.id} ERROR") == 1
    world.settle()
    assert first.replies() == [None]
    assert second.replies() == [UNBLOCKED]
    assert client(f"CLIENT UNBLOCK {first.id}") == 0
    assert client("RPUSH list a") == 1


def test_client_unblock_ends_no_wait_that_the_same_client_has_just_served(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    assert client.pipeline("RPUSH list a", f"CLIENT UNBLOCK {waiting.id}") == [1, 0]
    assert waiting.replies() == [[b"list", b"a"]]


def test_client_unblock_tells_what_the_log_says(world: World, client: Client) -> None:
    first, second, other = blocked(world, "BLPOP list 0"), blocked(world, "BLPOP list 0"), world.connect()
    client.ask("RPUSH list a")
    other.ask(f"CLIENT UNBLOCK {first.id}", f"CLIENT UNBLOCK {second.id}", f"CLIENT UNBLOCK {second.id}", "PING")
    world.settle()
    assert first.replies() == [[b"list", b"a"]]
    assert second.replies() == [None]
    assert other.replies() == [0, 1, 0, b"PONG"]


def test_a_client_that_is_gone_takes_nothing(world: World, client: Client) -> None:
    blocked(world, "BLPOP list 0").hang_up()
    killed, behind = blocked(world, "BLPOP list 0"), blocked(world, "BLPOP list 0")
    assert client(f"CLIENT KILL ID {killed.id}") == 1
    client("RPUSH list a")
    assert behind.replies() == [[b"list", b"a"]]
    assert world.node.shard.keyspace.waiters.by_token == {}


def test_a_client_that_goes_while_its_wait_is_on_its_way_takes_nothing(world: World, client: Client) -> None:
    world.hold = True
    waiting = world.connect()
    waiting.ask("BLPOP list 0")
    world.settle()
    waiting.hang_up()
    client.ask("RPUSH list a", "LLEN list")
    world.settle()
    world.release()
    world.settle()
    assert client.replies() == [1, 1]
    assert world.node.shard.keyspace.waiters.by_token == {}
    assert len(world.node.blocking) == 0


def test_waits_end_with_the_life_of_the_node(world: World) -> None:
    blocked(world, "BLPOP list 0")
    world.restart()
    client = world.connect()
    assert client("RPUSH list a") == 1
    assert client("LRANGE list 0 -1") == [b"a"]


def test_waits_in_the_image_are_those_of_the_log(world: World, client: Client) -> None:
    client("SET key 1")
    blocked(world, "BLPOP list 0")
    client.ask("SAVE")
    world.finish()
    assert client.replies() == [b"OK"]
    assert world.image.point is not None
    assert len(world.image.point.keyspace.waiters) == 1
    client("RPUSH list a")
    world.restart()
    again = world.connect()
    assert again("EXISTS list") == 0, "who waited has taken the element, in the life before"
    assert again("RPUSH list b") == 1
    assert again("LLEN list") == 1


def test_a_reload_keeps_who_waits(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    client.ask("DEBUG RELOAD")
    world.finish()
    assert client.replies() == [b"OK"]
    client("RPUSH list a")
    assert waiting.replies() == [[b"list", b"a"]]


# What is seen of it.


def test_blocked_clients_are_counted_and_shown(world: World, client: Client) -> None:
    waiting = blocked(world, "BLPOP list 0")
    assert b"blocked_clients:1" in client("INFO clients")
    line = next(line for line in client("CLIENT LIST").splitlines() if line.startswith(b"id=%d " % waiting.id))
    assert b" flags=b " in line
    assert b" cmd=blpop " in line


def test_a_watched_key_that_a_blocked_move_changes_spoils_the_transaction(world: World, client: Client) -> None:
    blocked(world, "BRPOPLPUSH a b 0")
    watcher = world.connect()
    assert watcher.pipeline("WATCH b", "MULTI", "PING") == [b"OK", b"OK", b"QUEUED"]
    client.ask("RPUSH a x")
    watcher.ask("EXEC")
    world.settle()
    assert watcher.replies() == [None]
    assert client.replies() == [1]
    assert client("LRANGE b 0 -1") == [b"x"]


# Streams.


def test_a_reader_that_waits_takes_nothing_and_all_are_served(world: World, client: Client) -> None:
    client("XADD s 1-1 f v")
    before = world.node.shard.raft.last_index
    readers = [blocked(world, "XREAD BLOCK 0 STREAMS s $") for _ in range(3)]
    assert world.node.shard.raft.last_index == before, "a reader is no business of the log"
    client("XADD s 1-2 f w")
    assert [each.replies() for each in readers] == [[[[b"s", [[b"1-2", [b"f", b"w"]]]]]]] * 3


def test_a_reader_gets_the_stream_that_is_ready_whatever_became_of_the_others(world: World, client: Client) -> None:
    reader = blocked(world, "XREAD BLOCK 0 STREAMS s other $ $")
    for name in ("s", "other"):
        client(f"XGROUP CREATE {name} g $ MKSTREAM")
    consumer = blocked(world, "XREADGROUP GROUP g c BLOCK 0 STREAMS s s > >")
    client("DEL other")
    client("SET other text")
    client("XADD s 1-1 f v")
    assert reader.replies() == consumer.replies() == [[[b"s", [[b"1-1", [b"f", b"v"]]]]]]


def test_a_reader_of_one_stream_from_two_ids_gets_it_once(world: World, client: Client) -> None:
    reader = blocked(world, "XREAD BLOCK 0 STREAMS s s 1-1 $")
    client("XADD s 1-2 f v")
    assert reader.replies() == [[[b"s", [[b"1-2", [b"f", b"v"]]]]]]


def test_a_deleted_stream_does_not_end_a_reader_s_wait(world: World, client: Client) -> None:
    client("XADD s 1-1 f v")
    reader = blocked(world, "XREAD BLOCK 0 STREAMS s $")
    client("DEL s")
    client("XADD s 1-1 f v")
    assert reader.replies() == [], "it waits for ids above 1-1"
    client("XADD s 1-2 f v")
    assert len(reader.replies()) == 1


def test_entries_of_a_group_go_to_who_waits_first(world: World, client: Client) -> None:
    client("XGROUP CREATE s g $ MKSTREAM")
    first, second = (blocked(world, f"XREADGROUP GROUP g {name} BLOCK 0 STREAMS s >") for name in "ab")
    client("XADD s 1-1 f v")
    assert first.replies() == [[[b"s", [[b"1-1", [b"f", b"v"]]]]]]
    assert second.replies() == []
    assert client("XPENDING s g") == [1, b"1-1", b"1-1", [[b"a", b"1"]]]
    world.restart()
    assert world.connect()("XPENDING s g") == [1, b"1-1", b"1-1", [[b"a", b"1"]]]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("DEL s", "UNBLOCKED the stream key no longer exists"),
        ("SET s v", "UNBLOCKED the stream key no longer exists"),
        ("RENAME s t", "UNBLOCKED the stream key no longer exists"),
        ("FLUSHALL", "UNBLOCKED the stream key no longer exists"),
        ("SWAPDB 0 1", "UNBLOCKED the stream key no longer exists"),
        ("PEXPIRE s -1", "UNBLOCKED the stream key no longer exists"),
        ("XGROUP DESTROY s g", "NOGROUP the consumer group this client was blocked on no longer exists"),
    ],
)
def test_a_group_s_wait_ends_with_its_stream(world: World, client: Client, command: str, error: str) -> None:
    client("XGROUP CREATE s g $ MKSTREAM")
    waiting = blocked(world, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
    client(command)
    assert waiting.replies() == [ReplyError(error)]


def test_a_reader_s_wait_ends_with_its_time_or_its_client(world: World, client: Client) -> None:
    timed, unblocked = blocked(world, "XREAD BLOCK 100 STREAMS s $"), blocked(world, "XREAD BLOCK 0 STREAMS s $")
    assert client(f"CLIENT UNBLOCK {unblocked.id} ERROR") == 1
    assert unblocked.replies() == [UNBLOCKED]
    blocked(world, "XREAD BLOCK 0 STREAMS s $").hang_up()
    world.advance(100)
    world.settle()
    assert timed.replies() == [None]
    assert world.node.shard.keyspace.waiters.by_token == {}


def test_what_does_not_wait_goes_with_the_others(world: World) -> None:
    client = world.connect()
    assert client.pipeline("XADD s 1-1 f v", "XREAD STREAMS s 0", "XGROUP CREATE s g 0", "PING") == [
        b"1-1", [[b"s", [[b"1-1", [b"f", b"v"]]]]], b"OK", b"PONG",
    ]  # fmt: skip
    assert client.pipeline("XREADGROUP GROUP g c STREAMS s >", "XREADGROUP GROUP g c STREAMS s >", "XACK s g 1-1") == [
        [[b"s", [[b"1-1", [b"f", b"v"]]]]], None, 1,
    ]  # fmt: skip
