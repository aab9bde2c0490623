"""WAIT and WAITAOF tell how many nodes have a client's last write on disk."""

from __future__ import annotations

import pytest

from support.fleet import Fleet, say
from support.processes import ReplyError
from support.world import Client


@pytest.mark.parametrize("node", [1, 2])
def test_wait_tells_how_many_other_nodes_have_the_write(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    assert say(fleet, client, "WAIT 2 0") == [2], "nothing was written"
    assert say(fleet, client, "SET k v", "WAIT 2 0", "PING") == [b"OK", 2, b"PONG"]
    assert say(fleet, client, "SET k w", "WAITAOF 1 2 0") == [b"OK", [1, 2]]


@pytest.mark.parametrize("node", [1, 2])
def test_wait_lasts_until_enough_nodes_have_it(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    fleet[3].hold = True
    assert say(fleet, client, "SET k v", "WAIT 1 0", "WAIT 2 0") == [b"OK", 1]
    fleet.pass_time(1000)
    assert client.replies() == []
    fleet[3].release()
    fleet.settle()
    assert client.replies() == [2]


@pytest.mark.parametrize("node", [1, 2])
def test_wait_tells_the_truth_when_its_time_is_over(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    fleet[3].hold = True
    assert say(fleet, client, "SET k v", "WAIT 2 300", "WAITAOF 0 2 300") == [b"OK"]
    fleet.pass_time(250)
    assert client.replies() == []
    fleet.pass_time(100)
    assert client.replies() == [1]
    fleet.pass_time(300)
    assert client.replies() == [[1, 1]]


def test_only_the_clients_own_writes_count(fleet: Fleet) -> None:
    client, other = fleet[1].connect(), fleet[1].connect()
    say(fleet, client, "SET k v")
    fleet[3].hold = True
    say(fleet, other, "SET k w")
    assert say(fleet, client, "WAIT 2 0") == [2]
    assert say(fleet, other, "WAIT 2 100") == []


def test_in_a_transaction_the_answer_comes_at_once(fleet: Fleet) -> None:
    for node in (1, 2):
        client = fleet[node].connect()
        fleet[3].hold = True
        say(fleet, client, "SET k v")
        assert say(fleet, client, "MULTI", "WAIT 2 0", "SET k w", "EXEC") == [
            b"OK", b"QUEUED", b"QUEUED", [1, b"OK"],
        ]  # fmt: skip
        assert say(fleet, client, "MULTI", "WAIT 2 0", "EXEC") == [b"OK", b"QUEUED", [1]]
        fleet[3].release()
        fleet.settle()


@pytest.mark.parametrize("node", [1, 2])
def test_client_unblock_ends_a_wait(fleet: Fleet, node: int) -> None:
    client, other = fleet[node].connect(), fleet[node].connect()
    fleet[3].hold = True
    assert say(fleet, client, "SET k v", "WAIT 2 0") == [b"OK"]
    assert say(fleet, other, f"CLIENT UNBLOCK {client.id}") == [1]
    assert client.replies() == [1]
    say(fleet, client, "WAIT 2 0")
    assert say(fleet, other, f"CLIENT UNBLOCK {client.id} ERROR") == [1]
    assert client.replies() == [ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")]


@pytest.mark.parametrize("node", [1, 2])
def test_a_wait_ends_when_its_leader_is_lost(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    assert say(fleet, client, "SET k v", "WAIT 5 0") == [b"OK"]
    fleet.cut(1)
    fleet.pass_time(2000)
    assert str(client.replies()[-1]).startswith("UNBLOCKED ")


def test_the_next_leader_knows_of_writes_that_another_has_answered(fleet: Fleet) -> None:
    client = fleet[2].connect()
    fleet[3].hold = True
    assert say(fleet, client, "SET k v") == [b"OK"]
    fleet.kill(3)
    fleet[2].node.shard.raft.campaign()
    fleet.pass_time(1500)
    assert fleet.leader() in (1, 2)
    assert say(fleet, client, "WAIT 2 0") == [], "node 3 is not there, and lacks it"
    fleet.start(3)
    fleet.pass_time(1000)
    assert client.replies() == [2]


def test_alone_there_is_nobody_to_wait_for() -> None:
    fleet = Fleet(1)
    fleet.elect()
    client = fleet[1].connect()
    assert say(fleet, client, "SET k v", "WAIT 0 0", "WAITAOF 1 0 0", "WAIT 1 100") == [b"OK", 0, [1, 0]]
    fleet.pass_time(150)
    assert client.replies() == [0]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("WAIT a 0", "ERR value is not an integer or out of range"),
        ("WAIT 1 a", "ERR timeout is not an integer or out of range"),
        ("WAIT 1 -1", "ERR timeout is negative"),
        ("WAITAOF 2 0 0", "ERR value is out of range"),
        ("WAITAOF 0 -1 0", "ERR value is out of range, must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, line: str, error: str) -> None:
    assert client(line) == ReplyError(error)


def test_waitaof_promises_no_disk_where_none_is_waited_for(client: Client) -> None:
    client("CONFIG SET appendfsync everysec")
    assert str(client("WAITAOF 1 0 0")).startswith("ERR WAITAOF cannot be used")
    assert client("WAITAOF 0 0 0") == [1, 0]
