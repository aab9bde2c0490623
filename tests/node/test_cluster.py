"""Nodes that are one cluster: any of them takes any command, and a lost leader loses nothing that was acknowledged."""

from __future__ import annotations

from support.fleet import Fleet, say
from support.processes import ReplyError


def test_a_follower_takes_every_command(fleet: Fleet) -> None:
    client = fleet[2].connect()
    assert say(fleet, client, "SET k v", "PING", "GET k", "INCR n", "NOPE", "GET k") == [
        b"OK", b"PONG", b"v", 1, ReplyError("ERR unknown command 'NOPE', with args beginning with: "), b"v",
    ]  # fmt: skip
    assert say(fleet, fleet[3].connect(), "GET k") == [b"v"]
    assert say(fleet, fleet[1].connect(), "GET k") == [b"v"]


def test_every_replica_has_applied_the_same(fleet: Fleet) -> None:
    say(fleet, fleet[3].connect(), "RPUSH l a b c", "SADD s x y", "SPOP s")
    fleet.pass_time(100)
    states = [fleet[n].node.shard.keyspace for n in (1, 2, 3)]
    assert (
        len(
            {
                (len(state.databases[0]), bytes(repr(list(state.databases[0].peek(b"l") or [])), "ascii"))
                for state in states
            }
        )
        == 1
    )
    assert len({fleet[n].node.shard.applied.index for n in (1, 2, 3)}) == 1


def test_a_session_keeps_its_database_protocol_and_transaction_where_the_client_is(fleet: Fleet) -> None:
    client = fleet[2].connect()
    say(fleet, client, "SELECT 3", "SET k three")
    assert say(fleet, client, "MULTI", "GET k", "INCR n", "EXEC") == [b"OK", b"QUEUED", b"QUEUED", [b"three", 1]]
    assert say(fleet, client, "SELECT 0", "GET k") == [b"OK", None]
    say(fleet, client, "SELECT 3")
    say(fleet, client, "HELLO 3")
    client.raw = b""
    say(fleet, client, "HSET h a 1", "HGETALL h")
    assert client.raw.endswith(b"%1\r\n$1\r\na\r\n$1\r\n1\r\n")


def test_watch_through_a_follower(fleet: Fleet) -> None:
    watcher, other = fleet[2].connect(), fleet[3].connect()
    say(fleet, watcher, "WATCH k", "MULTI", "SET k mine")
    say(fleet, other, "SET k other")
    assert say(fleet, watcher, "EXEC") == [None]
    say(fleet, watcher, "WATCH k", "MULTI", "SET k mine")
    assert say(fleet, watcher, "EXEC") == [[b"OK"]]


def test_a_blocked_client_of_a_follower_is_woken(fleet: Fleet) -> None:
    waiter = fleet[2].connect()
    assert say(fleet, waiter, "BLPOP l 0", "PING") == []
    assert say(fleet, fleet[3].connect(), "RPUSH l x") == [1]
    assert waiter.replies() == [[b"l", b"x"], b"PONG"]


def test_a_blocked_client_that_leaves_takes_nothing_with_it(fleet: Fleet) -> None:
    waiter = fleet[2].connect()
    say(fleet, waiter, "BLPOP l 0")
    waiter.hang_up()
    fleet.settle()
    assert say(fleet, fleet[3].connect(), "RPUSH l x", "LRANGE l 0 -1") == [1, [b"x"]]


def test_another_leader_has_what_was_acknowledged(fleet: Fleet) -> None:
    client = fleet[2].connect()
    assert say(fleet, client, "SET k v") == [b"OK"]
    fleet.kill(1)
    fleet.pass_time(2000)
    assert fleet.leader() in (2, 3)
    assert say(fleet, client, "GET k", "SET k w") == [b"v", b"OK"]
    fleet.start(1)
    fleet.pass_time(500)
    assert say(fleet, fleet[1].connect(), "GET k") == [b"w"]


def test_a_write_under_way_when_the_leader_dies_is_answered_as_unknown(fleet: Fleet) -> None:
    client = fleet[2].connect()
    client.ask("INCR n")
    fleet.tick_all()
    fleet.kill(1)
    fleet.settle()
    [reply] = client.replies()
    assert str(reply).startswith("UNKNOWN ")
    fleet.pass_time(2000)
    [count] = say(fleet, client, "GET n")
    assert count in (None, b"1")


def test_reads_under_way_when_the_leader_dies_are_asked_again(fleet: Fleet) -> None:
    client = fleet[2].connect()
    say(fleet, client, "SET k v")
    client.ask("GET k")
    fleet.tick_all()
    fleet.kill(1)
    fleet.pass_time(2000)
    assert client.replies() == [b"v"]


def test_a_leader_that_is_cut_off_serves_nothing(fleet: Fleet) -> None:
    inside, outside = fleet[1].connect(), fleet[2].connect()
    say(fleet, outside, "SET k old")
    fleet.cut(1)
    inside.ask("GET k")
    fleet.settle()
    assert inside.replies() == [b"old"], "the lease still holds, and nobody else can lead"
    fleet.pass_time(2000)
    assert say(fleet, outside, "SET k new") == [b"OK"]
    assert say(fleet, inside, "GET k", "SET k lost") == []
    fleet.pass_time(6000)
    assert [str(reply)[:11] for reply in inside.replies()] == ["CLUSTERDOWN"] * 2
    fleet.heal()
    fleet.pass_time(500)
    assert say(fleet, inside, "GET k") == [b"new"]


def test_a_paused_leader_answers_no_stale_read(fleet: Fleet) -> None:
    """It stands still; when it goes on, requests wait in its sockets, and it does not know of its successor."""
    inside, outside = fleet[1].connect(), fleet[2].connect()
    say(fleet, outside, "SET k old")
    fleet.cut(1)
    fleet.pass_time(2000, paused=(1,))
    assert say(fleet, outside, "SET k new") == [b"OK"]
    assert fleet[1].node.shard.raft.leader is not None
    assert say(fleet, inside, "GET k") == []
    fleet.heal()
    fleet.pass_time(500)
    assert inside.replies() == [b"new"]


def test_without_a_majority_nothing_is_written(fleet: Fleet) -> None:
    fleet.kill(2)
    fleet.kill(3)
    client = fleet[1].connect()
    assert say(fleet, client, "SET k v") == []
    fleet.pass_time(8000)
    [reply] = client.replies()
    assert str(reply).startswith("UNKNOWN ")
    assert say(fleet, client, "SET k v", "PING") == []
    fleet.pass_time(6000)
    down, pong = client.replies()
    assert str(down).startswith("CLUSTERDOWN ")
    assert pong == b"PONG"


def test_a_transaction_that_watched_at_a_lost_leader_fails(fleet: Fleet) -> None:
    client, local = fleet[2].connect(), fleet[1].connect()
    say(fleet, client, "WATCH k", "MULTI", "SET k v")
    say(fleet, local, "WATCH k", "MULTI", "SET k v")
    fleet.cut(1)
    fleet.pass_time(2000)
    assert say(fleet, client, "EXEC") == [None]
    fleet.heal()
    fleet.pass_time(500)
    assert say(fleet, local, "EXEC", "GET k") == [None, None]


def test_a_blocked_client_hears_of_a_lost_leader(fleet: Fleet) -> None:
    remote, local = fleet[2].connect(), fleet[1].connect()
    say(fleet, remote, "BLPOP l 0")
    say(fleet, local, "BLPOP l 0")
    fleet.cut(1)
    fleet.pass_time(2000)
    assert str(remote.replies()[0]).startswith("UNBLOCKED ")
    assert local.replies() == [], "what its node cannot know yet"
    assert say(fleet, fleet[3].connect(), "RPUSH l x", "LLEN l") == [1, 1]
    fleet.heal()
    fleet.pass_time(500)
    assert str(local.replies()[0]).startswith("UNBLOCKED ")
    assert say(fleet, fleet[3].connect(), "LLEN l") == [1]


def test_client_reply_off_through_a_follower(fleet: Fleet) -> None:
    client = fleet[2].connect()
    assert say(fleet, client, "CLIENT REPLY SKIP", "SET a 1", "GET a") == [b"1"]
    assert say(fleet, client, "CLIENT REPLY OFF", "SET a 2", "GET a", "CLIENT REPLY ON", "GET a") == [b"OK", b"2"]
