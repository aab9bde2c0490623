"""A real node that is held up, and the process that its pulse leaves from."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.processes import START_SECONDS
from support.real_cluster import RealCluster, eventually

HELD_UP_SECONDS = 2.5
"""Five election timeouts."""
LARGE_BYTES = 64 << 20
"""A value that is on the links, and on disk, for longer than a heartbeat takes."""


def pulse_of(cluster: RealCluster, node: int) -> int:
    """The process that a node's pulse leaves from."""
    parent = cluster.servers[node].process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def has_pulses(cluster: RealCluster, node: int) -> bool:
    return cluster.raft(node)["raft_pulses"] == len(cluster.ports) - 1


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealCluster]:
    """Three nodes; one leads, and all have each other's pulse."""
    authority = Authority(tmp_path / "ca") if getattr(request, "param", "") == "tls" else None
    cluster = RealCluster(tmp_path, authority=authority)
    for node in cluster.ports:
        cluster.start(node)
    for node in cluster.ports:
        eventually(lambda node=node: has_pulses(cluster, node))  # type: ignore[misc]
    cluster.leader()
    yield cluster
    cluster.stop()


def test_a_leader_that_stands_still_for_seconds_keeps_its_lead_and_answers_all(cluster: RealCluster) -> None:
    leader = cluster.leader()
    term = cluster.raft(leader)["raft_term"]
    clients = {node: cluster.client(node) for node in cluster.ports}
    for client in clients.values():
        client.ping()
    took: list[float] = []

    def write(node: int) -> None:
        began = time.monotonic()
        assert clients[node].set(f"key:{node}", "v")
        took.append(time.monotonic() - began)

    process = cluster.servers[leader].process
    process.send_signal(signal.SIGSTOP)
    threads = [threading.Thread(target=write, args=(node,)) for node in cluster.ports]
    for thread in threads:
        thread.start()
    time.sleep(HELD_UP_SECONDS)
    process.send_signal(signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert len(took) == 3, "each was answered"
    follower = cluster.others(leader)[0]
    assert clients[follower].set("large", b"x" * LARGE_BYTES)
    assert clients[follower].strlen("large") == LARGE_BYTES
    eventually(lambda: len({cluster.raft(node)["raft_applied_index"] for node in cluster.ports}) == 1)
    assert cluster.leader() == leader
    assert {cluster.raft(node)["raft_term"] for node in cluster.ports} == {term}


@pytest.mark.parametrize("cluster", ["tls"], indirect=True)
def test_the_process_lives_as_long_as_its_node(cluster: RealCluster) -> None:
    node = cluster.leader()
    pulse = pulse_of(cluster, node)
    command_line = Path(f"/proc/{pulse}/cmdline").read_bytes() + Path(f"/proc/{pulse}/environ").read_bytes()
    assert b"only the nodes know" not in command_line
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(pulse, number)
    time.sleep(0.1)
    assert runs(pulse)
    os.kill(pulse, signal.SIGKILL)
    cluster.servers[node].wait_printed("the process of this node's pulse has ended with -9: it is started again")
    others = cluster.others(node)
    eventually(lambda: all(has_pulses(cluster, each) for each in others))
    first, second, third = pulse_of(cluster, node), *(pulse_of(cluster, each) for each in others)
    cluster.servers[node].kill()
    assert cluster.servers[others[0]].stop() == 0
    assert not runs(second)
    cluster.servers[others[1]].kill()
    deadline = time.monotonic() + START_SECONDS
    while any(map(runs, (first, third))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
