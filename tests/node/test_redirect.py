"""`redirect moved`, and the cluster as Redis Cluster's clients are told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from redraft.slots import key_slot
from support.fleet import Fleet, say
from support.processes import Connection, RedisServer, ReplyError, free_port

FOLLOWER = 2
LEADERS = "10.0.0.1:7000"


@pytest.fixture
def fleet() -> Fleet:
    """Three nodes that redirect, the first of which leads."""
    fleet = Fleet(redirect="moved")
    fleet.elect()
    return fleet


def moved(key: bytes, where: str = LEADERS) -> ReplyError:
    return ReplyError(f"MOVED {key_slot(key)} {where}")


def test_what_names_a_key_is_moved_and_the_rest_is_answered(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    assert say(fleet, client, "SET {a}b v", "GET k", "DBSIZE", "PING", "MGET k l", "BLPOP q 0", "FLUSHALL") == [
        moved(b"a"), moved(b"k"), 0, b"PONG", moved(b"k"), moved(b"q"), b"OK",
    ]  # fmt: skip
    assert say(fleet, fleet[1].connect(), "SET k v", "GET k") == [b"OK", b"v"]


def test_a_transaction_is_moved_as_a_whole(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    assert say(fleet, client, "MULTI", "SET k v", "PING", "EXEC") == [
        b"OK", moved(b"k"), b"QUEUED",
        ReplyError("EXECABORT Transaction discarded because of previous errors."),
    ]  # fmt: skip
    assert say(fleet, client, "WATCH k", "MULTI", "DBSIZE", "EXEC") == [moved(b"k"), b"OK", b"QUEUED", [0]]


def test_a_transaction_whose_node_has_lost_leadership_is_moved(fleet: Fleet) -> None:
    client = fleet[1].connect()
    say(fleet, client, "MULTI", "SET k v")
    say(fleet, fleet[1].connect(), "REDRAFT TRANSFER 2")
    fleet.pass_time(100)
    assert say(fleet, client, "EXEC", "GET k") == [moved(b"k", "10.0.0.2:7000")] * 2


def test_without_a_leader_clients_wait_and_are_sent_to_the_next(fleet: Fleet) -> None:
    client, other = fleet[FOLLOWER].connect(), fleet[FOLLOWER].connect()
    say(fleet, client, "CONFIG SET heartbeat-interval 50")
    fleet.kill(1)
    assert say(fleet, client, "CLUSTER SLOTS", "GET k") == []
    assert say(fleet, other, "SET k v") == []
    fleet.pass_time(2500)
    next_leader = fleet.leader()
    [[slots], *rest] = client.replies()
    assert slots[2][0] == b"10.0.0.%d" % next_leader
    if next_leader == FOLLOWER:
        assert (rest, other.replies()) == ([None], [b"OK"])
    else:
        assert (rest, other.replies()) == ([moved(b"k", "10.0.0.3:7000")], [moved(b"k", "10.0.0.3:7000")])


def test_without_a_leader_for_long_the_cluster_is_down(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    fleet.kill(1)
    fleet.kill(3)
    assert say(fleet, client, "GET k", "CLUSTER SLOTS") == []
    fleet.pass_time(11_000)
    assert [str(reply)[:11] for reply in client.replies()] == ["CLUSTERDOWN"] * 2
    assert b"cluster_state:fail" in say(fleet, client, "CLUSTER INFO")[0]  # type: ignore[operator]


def test_readonly_reads_at_a_replica_and_writes_are_moved(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    say(fleet, fleet[1].connect(), "SET k v")
    fleet.pass_time(50)
    assert say(fleet, client, "READONLY", "GET k", "SET k w", "MULTI", "GET k", "EXEC") == [
        b"OK", b"v", moved(b"k"), b"OK", b"QUEUED", [b"v"],
    ]  # fmt: skip
    assert say(fleet, client, "READWRITE", "GET k") == [b"OK", moved(b"k")]
    assert say(fleet, client, "READONLY", "RESET", "GET k") == [b"OK", b"RESET", moved(b"k")]


def test_the_way_can_be_changed_while_the_node_runs(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    assert say(fleet, client, "CONFIG SET redirect proxy", "SET k v", "GET k") == [b"OK", b"OK", b"v"]
    assert b"cluster_enabled:0" in say(fleet, client, "INFO cluster")[0]  # type: ignore[operator]
    assert say(fleet, client, "CONFIG SET redirect moved", "GET k") == [b"OK", moved(b"k")]


def fields(text: object) -> dict[str, str]:
    assert isinstance(text, bytes)
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def test_clients_are_told_of_a_cluster_only_where_they_are_redirected(fleet: Fleet) -> None:
    leader, follower = fleet[1].connect(), fleet[FOLLOWER].connect()
    for client, role, hello in ((leader, "master", b"master"), (follower, "slave", b"replica")):
        [text] = say(fleet, client, "INFO everything")
        found = fields(text)
        assert (found["cluster_enabled"], found["redis_mode"], found["role"]) == ("1", "cluster", role)
        [told] = say(fleet, client, "HELLO 2")
        assert told[8:12] == [b"mode", b"cluster", b"role", hello]  # type: ignore[index]
    assert say(fleet, follower, "ROLE")[0][:4] == [b"slave", b"10.0.0.1", 7000, b"connected"]  # type: ignore[index]
    [[role, _, replicas]] = say(fleet, leader, "ROLE")  # type: ignore[misc]
    assert (role, [each[0] for each in replicas]) == (b"master", [b"10.0.0.2", b"10.0.0.3"])
    say(fleet, follower, "CONFIG SET redirect proxy")
    found = fields(say(fleet, follower, "INFO everything")[0])
    assert (found["cluster_enabled"], found["redis_mode"], found["role"]) == ("0", "standalone", "master")


def test_every_node_tells_the_same_of_the_cluster(fleet: Fleet) -> None:
    clients = [fleet[node].connect() for node in (1, 2, 3)]
    fleet.pass_time(50)
    names = [say(fleet, client, "CLUSTER MYID")[0] for client in clients]
    assert len(set(names)) == 3
    assert all(isinstance(name, bytes) and len(name) == 40 for name in names)
    for client, name in zip(clients, names, strict=True):
        [[[first, last, *nodes]]] = say(fleet, client, "CLUSTER SLOTS")  # type: ignore[misc]
        assert (first, last) == (0, 16383)
        assert [node[:3] for node in nodes] == [
            [b"10.0.0.%d" % (number + 1), 7000, each] for number, each in enumerate(names)
        ]
        [[[_, slots, _, shown]]] = say(fleet, client, "CLUSTER SHARDS")  # type: ignore[misc]
        assert slots == [0, 16383]
        roles = [dict(zip(node[::2], node[1::2], strict=True)) for node in shown]
        assert [(role[b"role"], role[b"health"]) for role in roles] == [
            (b"master", b"online"), (b"replica", b"online"), (b"replica", b"online"),
        ]  # fmt: skip
        [text] = say(fleet, client, "CLUSTER NODES")
        lines = text.decode().splitlines()  # type: ignore[attr-defined]
        assert [line.split()[-1] for line in lines] == ["0-16383", "connected", "connected"]
        assert [line.split()[0] for line in lines if "myself" in line] == [name.decode()]  # type: ignore[attr-defined]
        assert {line.split()[3] for line in lines[1:]} == {names[0].decode()}  # type: ignore[attr-defined]
        assert "cluster_known_nodes:3" in say(fleet, client, "CLUSTER INFO")[0].decode()  # type: ignore[attr-defined]


def test_a_node_that_is_gone_is_told_as_failed(fleet: Fleet) -> None:
    fleet.kill(3)
    [text] = say(fleet, fleet[1].connect(), "CLUSTER NODES")
    assert [line.split()[2] for line in text.decode().splitlines()] == ["myself,master", "slave", "slave,fail"]  # type: ignore[attr-defined]


def test_replicas_are_those_of_the_leader(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    [master] = say(fleet, fleet[1].connect(), "CLUSTER MYID")
    [own] = say(fleet, client, "CLUSTER MYID")
    assert isinstance(master, bytes)
    assert isinstance(own, bytes)
    [lines] = say(fleet, client, f"CLUSTER REPLICAS {master.decode()}")
    assert [line.split()[2] for line in lines] == [b"myself,slave", b"slave"]  # type: ignore[attr-defined]
    assert say(fleet, client, f"CLUSTER SLAVES {own.decode()}", "CLUSTER REPLICAS x") == [
        ReplyError("ERR The specified node is not a master"), ReplyError("ERR Unknown node x"),
    ]  # fmt: skip


def test_keys_of_a_slot(fleet: Fleet) -> None:
    client = fleet[1].connect()
    slot = key_slot(b"a")
    assert say(fleet, client, "SET {a}1 x", "SET {a}2 x PX 100", "SET b x", f"CLUSTER COUNTKEYSINSLOT {slot}") == [
        b"OK", b"OK", b"OK", 2,
    ]  # fmt: skip
    assert say(fleet, client, f"CLUSTER GETKEYSINSLOT {slot} 10", f"CLUSTER GETKEYSINSLOT {slot} 1") == [
        [b"{a}1", b"{a}2"], [b"{a}1"],
    ]  # fmt: skip
    fleet.pass_time(150)
    assert say(fleet, client, f"CLUSTER COUNTKEYSINSLOT {slot}") == [1]
    assert say(fleet, client, "CLUSTER COUNTKEYSINSLOT 16384", "CLUSTER GETKEYSINSLOT 1 -1") == [
        ReplyError("ERR Invalid slot"), ReplyError("ERR Invalid slot or number of keys"),
    ]  # fmt: skip


def test_cluster_failover_makes_this_node_the_leader(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    assert say(fleet, client, "CLUSTER FAILOVER") == [b"OK"]
    fleet.pass_time(100)
    assert fleet.leader() == FOLLOWER
    assert say(fleet, client, "SET k v", "CLUSTER FAILOVER", "CLUSTER FAILOVER TAKEOVER") == [
        b"OK",
        ReplyError("ERR You should send CLUSTER FAILOVER to a replica"),
        ReplyError("ERR leadership is not taken by force: without a leader the nodes elect one by themselves"),
    ]


def test_what_would_change_the_cluster_says_how_it_is_done(fleet: Fleet) -> None:
    client = fleet[FOLLOWER].connect()
    for line in ("MEET 10.0.0.9 7000", "ADDSLOTS 1", "SETSLOT 1 STABLE", "RESET HARD", "REPLICATE x", "FORGET x"):
        [error] = say(fleet, client, f"CLUSTER {line}")
        assert "redraft members, promote, remove, leave and transfer-leader" in str(error)


@pytest.mark.redis_server
def test_the_shape_of_the_answers_is_that_of_a_real_redis_cluster(tmp_path: Path) -> None:
    """One real node with all slots, and one redraft node: everything but names and addresses is the same."""
    where = ("--cluster-announce-ip", "10.0.0.1", "--cluster-port", str(free_port()))
    real_server = RedisServer(tmp_path, "--cluster-enabled", "yes", *where)
    try:
        real = Connection(real_server.port)
        assert real("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == b"OK"
        while b"cluster_state:ok" not in real("CLUSTER", "INFO"):
            pass
        fleet = Fleet(1, redirect="moved")
        fleet.elect()
        client = fleet[1].connect()
        for protocol in ("2", "3"):
            real("HELLO", protocol)
            say(fleet, client, f"HELLO {protocol}")
            for words in ("SLOTS", "SHARDS", "NODES", "INFO", "MYID", "KEYSLOT foo", "COUNTKEYSINSLOT 5"):
                theirs = real("CLUSTER", *words.split())
                [ours] = say(fleet, client, f"CLUSTER {words}")
                assert shape(ours) == shape(theirs), words
    finally:
        real_server.stop()


def shape(value: object) -> object:
    """A reply without what must differ: names of nodes, ports, numbers that count."""
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, bytes) and len(value) == 40 and b" " not in value:
        return "name"
    if isinstance(value, bytes) and b"cluster_state" in value:
        return [line.split(":")[0] for line in value.decode().splitlines()]
    if isinstance(value, bytes) and b"myself" in value:
        words = value.decode().split()
        return [len(words[0]), words[1].count("@"), words[2:4], len(words[4:7]), words[7:]]
    if isinstance(value, int) and value not in (16383, 12182):
        return "number"
    return value
