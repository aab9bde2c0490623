"""Reads at a node that does not lead: new enough, in order, by one clock; or old, where that was allowed."""

from __future__ import annotations

import pytest

from redraft.ids import Index
from redraft.node.peers import decode_frame
from redraft.raft.messages import Heartbeat
from support.fleet import Fleet, say
from support.processes import ReplyError
from support.world import Client

FOLLOWER = 2


def calls(fleet: Fleet, node: int, name: bytes) -> int:
    command = fleet[node].node.table.find(name)
    assert command is not None
    return command.calls


def test_a_follower_executes_reads_itself(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, fleet[1].connect(), "SET k v")
    assert say(fleet, client, "GET k", "GET none", "STRLEN k") == [b"v", None, 1]
    assert (calls(fleet, 1, b"get"), calls(fleet, FOLLOWER, b"get")) == (0, 2)


def test_one_question_a_tick_whoever_reads(fleet: Fleet) -> None:
    clients = [fleet[FOLLOWER].connect() for _ in range(10)]
    for client in clients:
        client.ask("GET k")
    fleet.tick_all()
    asked = [decode_frame(data).asks for sender, _, data in fleet.frames if sender == FOLLOWER]
    assert [len(numbers) for numbers in asked if numbers] == [1]
    fleet.settle()
    assert [client.replies() for client in clients] == [[None]] * 10


def test_a_read_waits_until_its_node_has_applied_what_was_acknowledged(fleet: Fleet) -> None:
    writer, reader = fleet[1].connect(), fleet[FOLLOWER].connect()
    fleet[FOLLOWER].hold = True
    assert say(fleet, writer, "SET k v") == [b"OK"], "a majority is without the follower"
    assert say(fleet, reader, "GET k") == []
    fleet[FOLLOWER].release()
    fleet.settle()
    assert reader.replies() == [b"v"]
    assert calls(fleet, FOLLOWER, b"get") == 1


def test_a_read_of_a_follower_that_hangs_behind_is_passed_on(fleet: Fleet) -> None:
    writer, reader = fleet[1].connect(), fleet[FOLLOWER].connect()
    fleet[FOLLOWER].hold = True
    say(fleet, writer, "SET k v")
    say(fleet, reader, "GET k")
    fleet.pass_time(200)
    assert reader.replies() == [b"v"]
    assert (calls(fleet, 1, b"get"), calls(fleet, FOLLOWER, b"get")) == (1, 0)


def test_reads_and_writes_of_a_connection_stay_in_order(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    assert say(fleet, client, "GET n", "INCR n", "GET n", "PING", "GET n", "INCR n", "GET n") == [
        None, 1, b"1", b"PONG", b"1", 2, b"2",
    ]  # fmt: skip
    client.ask("GET n")
    client.ask("INCR n")
    client.ask("GET n")
    fleet.settle()
    assert client.replies() == [b"2", 3, b"3"]


def test_a_read_sees_what_another_node_was_answered(fleet: Fleet) -> None:
    writer, reader = fleet[3].connect(), fleet[FOLLOWER].connect()
    for number in range(20):
        writer.ask(f"SET k {number}")
        while not (found := writer.replies()):
            fleet.tick_all()
        assert found == [b"OK"]
        assert say(fleet, reader, "GET k") == [b"%d" % number]


def test_a_leader_without_a_lease_asks_a_majority_for_a_follower(fleet: Fleet) -> None:
    say(fleet, fleet[1].connect(), "SET k v")
    fleet[1].clock.ns += 450 * 1_000_000
    assert say(fleet, fleet[FOLLOWER].connect(), "GET k") == [b"v"]
    assert calls(fleet, FOLLOWER, b"get") == 1


def test_reads_under_way_when_the_leader_is_lost_are_answered_by_the_next(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, client, "SET k v")
    client.ask("GET k", "GET k")
    fleet.tick_all()
    fleet.kill(1)
    fleet.pass_time(2000)
    assert client.replies() == [b"v", b"v"]


def test_an_isolated_follower_answers_no_stale_read(fleet: Fleet) -> None:
    writer, reader = fleet[1].connect(), fleet[FOLLOWER].connect()
    say(fleet, writer, "SET k old")
    fleet.cut(FOLLOWER)
    say(fleet, writer, "SET k new")
    assert say(fleet, reader, "GET k") == []
    fleet.pass_time(6000)
    [reply] = reader.replies()
    assert str(reply).startswith("CLUSTERDOWN ")


# Time.


@pytest.mark.parametrize("difference_ms", [-500, 500])
def test_a_follower_reads_by_the_leaders_clock(fleet: Fleet, difference_ms: int) -> None:
    """A clock that is behind shows no key again that the leader hides, and one that is ahead hides none."""
    leader, follower = fleet[1].connect(), fleet[FOLLOWER].connect()
    for node in (1, 2, 3):
        fleet[node].node.reaper.active = False
    say(fleet, leader, "SET k v PX 1000")
    fleet[1].clock.ns += 600 * 1_000_000
    fleet[FOLLOWER].clock.ns += (600 + difference_ms) * 1_000_000
    fleet.tick_all()
    assert say(fleet, leader, "GET k", "PTTL k") == [b"v", 400]
    assert say(fleet, follower, "GET k", "PTTL k") == [b"v", 400]
    fleet[1].clock.ns += 400 * 1_000_000
    fleet.pass_time(50)
    assert say(fleet, leader, "GET k") == [None]
    assert say(fleet, follower, "GET k", "TTL k") == [None, -2]


# Stale reads.


def cut_off(fleet: Fleet) -> Client:
    """A client of a follower that lacks the last write."""
    writer, reader = fleet[1].connect(), fleet[FOLLOWER].connect()
    say(fleet, writer, "SET k old")
    fleet.pass_time(50)
    fleet.cut(FOLLOWER)
    say(fleet, writer, "SET k new")
    return reader


def test_a_stale_read_is_answered_at_once_from_what_is_there(fleet: Fleet) -> None:
    reader = cut_off(fleet)
    say(fleet, reader, "CONFIG SET read-consistency stale")
    assert say(fleet, reader, "GET k", "PING", "EXISTS k") == [b"old", b"PONG", 1]
    fleet.heal()
    fleet.pass_time(200)
    assert say(fleet, reader, "GET k") == [b"new"]


def test_readonly_allows_stale_reads_on_its_connection(fleet: Fleet) -> None:
    reader = cut_off(fleet)
    other = fleet[FOLLOWER].connect()
    assert say(fleet, reader, "READONLY", "GET k") == [b"OK", b"old"]
    assert b" flags=r " in say(fleet, reader, "CLIENT LIST")[0]  # type: ignore[operator]
    assert say(fleet, reader, "MULTI", "GET k", "STRLEN k", "EXEC") == [b"OK", b"QUEUED", b"QUEUED", [b"old", 3]]
    assert say(fleet, other, "GET k") == []
    assert say(fleet, reader, "READWRITE", "GET k") == [b"OK"]


def test_a_stale_read_sees_the_writes_of_its_own_connection(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, client, "READONLY")
    fleet[FOLLOWER].hold = True
    assert say(fleet, client, "SET k v") == [b"OK"]
    assert say(fleet, client, "GET k") == []
    fleet[FOLLOWER].release()
    fleet.settle()
    assert client.replies() == [b"v"]
    fleet[FOLLOWER].hold = True
    assert say(fleet, client, "SET k w", "GET k", "MULTI", "GET k", "EXEC") == [
        b"OK", b"w", b"OK", b"QUEUED", [b"w"],
    ]  # fmt: skip


def test_a_stale_read_goes_by_its_nodes_own_clock(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, client, "SET k v PX 1000")
    fleet.pass_time(50)
    fleet.cut(FOLLOWER)
    fleet.pass_time(1000, paused=(1, 3))
    assert say(fleet, client, "READONLY", "GET k") == [b"OK", None]


def lag(fleet: Fleet, client: Client) -> tuple[int, int]:
    [text] = say(fleet, client, "INFO replication")
    assert isinstance(text, bytes)
    fields = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return int(fields["replica_lag_entries"]), int(fields["replica_lag_ms"])


def test_the_lag_is_told(fleet: Fleet) -> None:
    writer, reader = fleet[1].connect(), fleet[FOLLOWER].connect()
    fleet.pass_time(50)
    assert lag(fleet, writer) == lag(fleet, reader) == (0, 0)
    fleet[FOLLOWER].hold = True
    for number in range(5):
        say(fleet, writer, f"SET k {number}")
    fleet.pass_time(50)
    assert lag(fleet, reader)[0] >= 4
    fleet[FOLLOWER].release()
    fleet.settle()
    raft = fleet[FOLLOWER].node.shard.raft
    assert lag(fleet, reader)[0] == 0
    beat = Heartbeat(raft.leader_id, raft.id, raft.term, Index(0), 0, Index(raft.commit_index + 1000))
    fleet[FOLLOWER].node.reads.heard(beat)
    assert lag(fleet, reader)[0] == 1000
    fleet.cut(FOLLOWER)
    fleet.pass_time(300)
    assert lag(fleet, reader)[1] == 300


# Scans.


def test_a_cursor_of_another_node_starts_over_and_misses_nothing(fleet: Fleet) -> None:
    writer = fleet[1].connect()
    say(fleet, writer, *[f"SET key:{number:03} x" for number in range(60)])
    clients = [fleet[node].connect() for node in (1, 2, 3)]
    for client in clients:
        say(fleet, client, "SCAN 0 COUNT 50")
    [[cursor, _]] = say(fleet, clients[1], "SCAN 0 COUNT 10")  # type: ignore[misc]
    [[_, found]] = say(fleet, clients[2], f"SCAN {cursor.decode()} COUNT 100")  # type: ignore[misc]
    assert len(found) == 60


def test_an_error_is_answered_in_its_place(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, client, "SET k v")
    assert say(fleet, client, "GET k", "LLEN k", "GET", "GET k") == [
        b"v",
        ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ReplyError("ERR wrong number of arguments for 'get' command"),
        b"v",
    ]
