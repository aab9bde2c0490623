"""Redis Cluster's own clients, redis-cli -c and redis-py's RedisCluster, with real processes and a leader that dies."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, LoadBalancingStrategy, RedisCluster
from redis.exceptions import ClusterDownError, ConnectionError, RedisClusterException, ResponseError
from redis.retry import Retry

from support.processes import Connection
from support.real_cluster import PATIENCE_SECONDS, RealCluster, eventually

PAUSE_SECONDS = 0.1
RETRIES = 100


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RealCluster]:
    """Three nodes that redirect; one leads."""
    cluster = RealCluster(tmp_path)
    for node in cluster.ports:
        cluster.start(node, "--redirect", "moved")
    cluster.leader()
    yield cluster
    cluster.stop()


def smart_client(cluster: RealCluster, node: int, *, read_from_replicas: bool = False) -> RedisCluster:
    return RedisCluster(
        startup_nodes=[ClusterNode("127.0.0.1", cluster.ports[node])],
        retry=Retry(ConstantBackoff(PAUSE_SECONDS), RETRIES),
        socket_timeout=PATIENCE_SECONDS,
        load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN if read_from_replicas else None,
    )


def test_redis_py_finds_the_leader_by_any_node_and_the_next_one_when_it_dies(cluster: RealCluster) -> None:
    leader = cluster.leader()
    client = smart_client(cluster, cluster.others(leader)[0])
    assert client.set("k", "v")
    assert client.get_primaries()[0].port == cluster.ports[leader]
    assert sorted(node.port for node in client.get_replicas()) == sorted(
        cluster.ports[node] for node in cluster.others(leader)
    )
    acknowledged = 0
    for number in range(60):
        if number == 20:
            cluster.servers[leader].kill()
        try:
            client.incr("n")
            acknowledged += 1
        except (ConnectionError, RedisClusterException, ClusterDownError):
            continue
        except ResponseError as error:
            if not str(error).startswith("UNKNOWN "):
                raise
    assert acknowledged >= 55
    assert int(client.get("n") or 0) >= acknowledged
    assert client.get("k") == b"v"
    assert client.get_primaries()[0].port == cluster.ports[cluster.leader()]


def test_redis_py_reads_from_replicas_and_keeps_hash_tags_together(cluster: RealCluster) -> None:
    client = smart_client(cluster, 1, read_from_replicas=True)
    assert client.mset_nonatomic({f"key:{number}": number for number in range(100)})
    with client.pipeline() as pipe:
        for number in range(50):
            pipe.incr(f"{{tag}}:{number}")
        assert pipe.execute() == [1] * 50
    assert client.mget("{tag}:1", "{tag}:2") == [b"1", b"1"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while [client.get(f"key:{number}") for number in range(100)] != [b"%d" % number for number in range(100)]:
        assert time.monotonic() < deadline, "replicas are never up to date"
    calls = [cluster.client(node).info("commandstats").get("cmdstat_get", {}).get("calls", 0) for node in (1, 2, 3)]  # type: ignore[union-attr]
    assert all(calls), "each node has read some"


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_follows_to_the_leader(cluster: RealCluster) -> None:
    def cli(node: int, *words: str) -> str:
        command = ["redis-cli", "-p", str(cluster.ports[node]), "-c", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS).stdout.strip()

    for node in cluster.ports:
        assert cli(node, "SET", f"key:{node}", "v") == "OK"
        assert cli(node, "GET", "key:1") == "v"
    leader = cluster.leader()
    away = cluster.others(leader)[0]
    cluster.servers[leader].kill()
    assert cli(away, "SET", "after", "v") == "OK"
    assert cli(cluster.others(leader)[1], "GET", "after") == "v"


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_checks_the_cluster(cluster: RealCluster) -> None:
    """`--cluster check` asks every node for its view and compares them."""
    eventually(lambda: all(cluster.raft(node)["raft_leader_id"] for node in cluster.ports))
    command = ["redis-cli", "--cluster", "check", f"127.0.0.1:{cluster.ports[1]}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert "[OK] All nodes agree about slots configuration." in done.stdout
    assert "[OK] All 16384 slots covered." in done.stdout
    assert done.returncode == 0


def test_wait_counts_real_nodes(cluster: RealCluster) -> None:
    leader = cluster.leader()
    connection = Connection(cluster.ports[leader])
    assert connection("SET", "k", "v") == b"OK"
    assert connection("WAIT", "2", "10000") == 2
    assert connection("WAITAOF", "1", "2", "10000") == [1, 2]
    cluster.servers[cluster.others(leader)[0]].kill()
    assert connection("SET", "k", "w") == b"OK"
    assert connection("WAIT", "2", "100") == 1
