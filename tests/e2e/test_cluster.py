"""Three real processes that are one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from redraft.node.links import VERSION
from support.processes import Connection, ReplyError, Server, free_port
from support.real_cluster import RealCluster, digest, eventually, insist


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RealCluster]:
    """Three nodes; one leads."""
    cluster = RealCluster(tmp_path)
    for node in cluster.ports:
        cluster.start(node)
    cluster.leader()
    yield cluster
    cluster.stop()


def test_any_node_takes_any_command(cluster: RealCluster) -> None:
    for node in cluster.ports:
        client = cluster.client(node)
        with client.pipeline(transaction=True) as pipe:
            assert pipe.incr("n").set(f"key:{node}", "v").get("n").execute() == [node, True, b"%d" % node]
    for node in cluster.ports:
        assert sorted(cluster.client(node).scan_iter("key:*")) == [b"key:1", b"key:2", b"key:3"]


def test_a_killed_leader_loses_nothing_that_was_acknowledged(cluster: RealCluster) -> None:
    acknowledged = unknown = 0
    for _ in range(3):
        leader = cluster.leader()
        client = cluster.client(cluster.others(leader)[0])
        for _ in range(50):
            acknowledged += bool(client.incr("n"))
        cluster.servers[leader].kill()
        while True:
            try:
                acknowledged += bool(client.incr("n"))
                break
            except redis.ResponseError as error:
                if not str(error).startswith("UNKNOWN "):
                    raise
                unknown += 1
        cluster.start(leader)
    count = int(cluster.client(1).get("n") or 0)  # type: ignore[arg-type]
    assert acknowledged <= count <= acknowledged + unknown


def test_a_cluster_restarted_whole(cluster: RealCluster) -> None:
    cluster.client(1).mset({f"key:{n}": n for n in range(1000)})
    for node in cluster.ports:
        cluster.servers[node].kill()
    for node in cluster.ports:
        cluster.start(node)
    assert cluster.client(2).dbsize() == 1000


def test_a_follower_that_was_away_catches_up(cluster: RealCluster) -> None:
    away = cluster.others(cluster.leader())[0]
    cluster.servers[away].kill()
    client = cluster.client(cluster.leader())
    for number in range(500):
        insist(client, "SET", f"key:{number}", "x")
    cluster.start(away)
    eventually(lambda: cluster.raft(away)["raft_applied_index"] == cluster.raft(cluster.leader())["raft_applied_index"])


def test_a_node_with_a_wrong_secret_is_not_let_in(cluster: RealCluster) -> None:
    follower = cluster.others(cluster.leader())[0]
    cluster.servers[follower].kill()
    server = cluster.start(follower, secret="wrong")
    server.wait_printed("it does not know the cluster's secret")
    assert cluster.client(cluster.leader()).set("k", "v")
    assert cluster.raft(follower)["raft_leader_id"] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"REDRAFT PEER %b other 2 1 00" % VERSION, "it is of another cluster"),
        (b"REDRAFT PEER 9 other 2 1 00", "it speaks version 9"),
        (b"REDRAFT PROOF x 00 FRAMES h:1", "it does not know the cluster's secret"),
    ],
)
def test_a_wrong_greeting_is_refused(cluster: RealCluster, line: bytes, said: str) -> None:
    reply = Connection(cluster.ports[1])(*line.split())
    assert isinstance(reply, ReplyError)
    assert said in str(reply)


def test_wrong_command_lines_are_told(tmp_path: Path) -> None:
    for arguments, said in (
        (("--initial-cluster", "1=a"), "'1=a' is not ID=HOST:PORT"),
        (("--initial-cluster", "1=a:1,1=b:2"), "the node 1 is there twice"),
        (("--initial-cluster", "2=a:1", "--node-id", "1"), "initial-cluster has no node 1"),
        (("--initial-cluster", "2=a:1"), "say with --node-id which node of initial-cluster this one is"),
    ):
        server = Server(tmp_path / "data", *arguments)
        assert server.wait() == 2
        assert said in server.output


def test_a_node_of_a_new_cluster_finds_itself_by_its_port_and_later_by_its_directory(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    members = ",".join(f"{number}=127.0.0.1:{port}" for number, port in zip((7, 8), ports, strict=True))
    for started in (1, 2):
        where = [("--port", str(port), "--initial-cluster", members) for port in ports]
        servers = [Server(tmp_path / each[1], *each).wait_ready() for each in where]
        try:
            clients = [server.client() for server in servers]
            assert insist(clients[0], "SET", "started", started)
            assert [client.info("raft")["raft_node_id"] for client in clients] == [7, 8]
        finally:
            for server in servers:
                server.stop()


def test_a_follower_that_lacks_what_is_gone_from_the_log_gets_a_snapshot(tmp_path: Path) -> None:
    few = ("--log-retain-entries", "10", "--flush-dirty-keys", "200")
    cluster = RealCluster(tmp_path)
    try:
        for node in cluster.ports:
            cluster.start(node, *few)
        leader = cluster.leader()
        away = cluster.others(leader)[0]
        cluster.servers[away].kill()
        client = cluster.client(leader)
        for number in range(2000):
            insist(client, "SET", f"key:{number % 500}", number)
        client.rpush("list", *range(1000))
        server = cluster.start(away, *few)
        for number in range(500):
            insist(client, "SET", f"later:{number}", number)
        server.wait_printed("is installed")
        eventually(lambda: digest(cluster, away) == digest(cluster, leader))
        # It is as good a member as before, also after a power cut.
        server.kill()
        cluster.start(away, *few)
        insist(client, "SET", "last", "one")
        eventually(lambda: digest(cluster, away) == digest(cluster, leader))
    finally:
        cluster.stop()
