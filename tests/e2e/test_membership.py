"""Making and changing a cluster of real processes, as an operator does it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from redraft import __version__
from redraft.levels import NEWEST
from support.processes import Server

PATIENCE_SECONDS = 30


class Nodes:
    """Processes that are started one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[Server] = []

    def start(self, name: str, *arguments: str) -> Server:
        server = Server(self.directory / name, "--cluster-secret", "s", "--loglevel", "verbose", *arguments)
        self.servers.append(server)
        return server.wait_ready()

    def found(self, name: str, *arguments: str) -> Server:
        return self.start(name, "--bootstrap", *arguments)

    def join(self, name: str, to: Server, *arguments: str) -> Server:
        return self.start(name, "--join", f"127.0.0.1:{to.port}", *arguments)

    def stop(self) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path)
    yield nodes
    nodes.stop()


def redraft(*words: str) -> tuple[int, str]:
    """Run `redraft`: its exit status, and what it printed."""
    done = subprocess.run([sys.executable, "-m", "redraft", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def asked(server: Server, *words: str) -> Any:
    status, text = redraft(*words, "--node-address", f"127.0.0.1:{server.port}", "--json")
    assert status == 0, text
    return json.loads(text)


def roles(server: Server) -> dict[int, str]:
    return {member["id"]: member["role"] for member in asked(server, "members")}


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def three(nodes: Nodes) -> list[Server]:
    """A node alone, and two that join it, the second by way of the first to join."""
    first = nodes.found("n1")
    first.client().mset({f"key:{number}": number for number in range(100)})
    second = nodes.join("n2", first)
    eventually(lambda: roles(first) == {1: "leader", 2: "voter"})
    third = nodes.join("n3", second)
    eventually(lambda: roles(third) == {1: "leader", 2: "voter", 3: "voter"})
    return [first, second, third]


def test_nodes_join_catch_up_and_become_voters(nodes: Nodes) -> None:
    servers = three(nodes)
    for server in servers:
        assert server.client().dbsize() == 100
    servers[0].kill()
    eventually(lambda: "leader" in roles(servers[2]).values())
    assert servers[2].client().get("key:7") == b"7"
    # They need not be told again who they are.
    servers[1].kill()
    again = nodes.start("n2", "--port", str(servers[1].port))
    assert again.client(socket_timeout=PATIENCE_SECONDS).set("after", "1")


def test_a_node_joins_a_cluster_whose_founders_are_gone(nodes: Nodes) -> None:
    """What it begins with tells of them only, and it must answer a leader of whom it has not heard."""
    first = nodes.found("n1")
    second = nodes.join("n2", first)
    eventually(lambda: roles(first) == {1: "leader", 2: "voter"})
    assert asked(first, "leave") == {"removed": 1}
    assert first.wait() == 0
    third = nodes.join("n3", second)
    eventually(lambda: roles(second) == {2: "leader", 3: "voter"})
    assert third.client(socket_timeout=PATIENCE_SECONDS).incr("n") == 1


def test_a_node_joins_that_needs_a_snapshot(nodes: Nodes) -> None:
    first = nodes.found("n1", "--log-retain-entries", "1")
    for number in range(50):
        first.client().set(f"key:{number}", number)
    first.client().execute_command("SAVE")
    second = nodes.join("n2", first)
    second.wait_printed("is installed")
    eventually(lambda: roles(first) == {1: "leader", 2: "voter"})
    assert second.client().execute_command("DEBUG", "DIGEST") == first.client().execute_command("DEBUG", "DIGEST")


def test_a_node_that_joins_answers_no_read_before_it_has_the_data(nodes: Nodes) -> None:
    """Jepsen's #30: empty lists from nodes that had just been added."""
    first = nodes.found("n1", "--log-retain-entries", "1")
    first.client().rpush("list", *range(100))
    first.client().execute_command("SAVE")
    second = nodes.join("n2", first)
    answers = []

    def has_become_a_voter() -> bool:
        client = second.client(socket_timeout=PATIENCE_SECONDS)
        for ask in (lambda: client.llen("list"), lambda: client.execute_command("EXISTS", "list") * 100):
            try:
                answers.append(ask())
            except redis.RedisError as error:
                answers.append(str(error).split(" ", 1)[0])
        return roles(first) == {1: "leader", 2: "voter"}

    eventually(has_become_a_voter)
    assert {*answers} <= {100, "CLUSTERDOWN", "LOADING"}
    assert answers[-1] == 100


def test_leadership_is_handed_over(nodes: Nodes) -> None:
    servers = three(nodes)
    assert asked(servers[0], "transfer-leader", "3") == {"leader-id": 3}
    status = asked(servers[1], "status")
    assert (status["leader-id"], status["feature-level"]) == (3, NEWEST)
    assert [node["version"] for node in status["nodes"]] == [__version__] * 3
    assert servers[1].client().incr("n") == 1


def test_nodes_are_removed_alive_or_dead(nodes: Nodes) -> None:
    servers = three(nodes)
    servers[2].kill()
    assert asked(servers[1], "remove", "3") == {"removed": 3}
    assert roles(servers[0]) == {1: "leader", 2: "voter"}
    assert asked(servers[1], "leave") == {"removed": 2}
    assert roles(servers[0]) == {1: "leader"}
    assert servers[0].client().incr("n") == 1
    assert servers[1].wait() == 0
    assert "this node was removed from the cluster" in servers[1].output
    # Who was away and has not heard of it is told.
    again = Server(servers[2].directory, "--cluster-secret", "s", "--port", str(servers[2].port))
    assert again.wait() == 1
    assert "node 1 says: node 3 was removed from the cluster" in again.output
    assert "Traceback" not in again.output


def test_a_leader_leaves_while_clients_write(nodes: Nodes) -> None:
    servers = three(nodes)
    assert asked(servers[0], "leave") == {"removed": 1}
    eventually(lambda: "leader" in roles(servers[1]).values())
    assert set(roles(servers[1])) == {2, 3}
    assert servers[2].client(socket_timeout=PATIENCE_SECONDS).incr("n") == 1


def test_a_node_takes_the_place_of_another(nodes: Nodes) -> None:
    servers = three(nodes)
    fourth = nodes.join("n4", servers[0])
    assert asked(servers[1], "replace", "3", "4") == {"removed": 3}
    eventually(lambda: set(roles(servers[0])) == {1, 2, 4})
    assert servers[2].wait() == 0
    assert fourth.client().dbsize() == 100


def test_a_node_that_has_lost_its_data_is_not_listened_to(nodes: Nodes) -> None:
    servers = three(nodes)
    servers[2].kill()
    shutil.rmtree(servers[2].directory)
    members = ",".join(f"{number}=127.0.0.1:{server.port}" for number, server in enumerate(servers, 1))
    identity = json.loads((servers[0].directory / "node.json").read_text())
    wiped = {"format": 1, "node_id": 3, "cluster_id": identity["cluster_id"], "first_voters": [1, 2, 3]}
    servers[2].directory.mkdir()
    (servers[2].directory / "node.json").write_text(json.dumps(wiped | {"incarnation": "another"}))
    again = Server(servers[2].directory, "--initial-cluster", members, "--node-id", "3", "--cluster-secret", "s")
    assert again.wait() == 1
    assert "node 3 has other data than it had; remove it, and have it join anew" in again.output
    address = f"127.0.0.1:{servers[2].port}"
    status, text = redraft("members", "--node-address", f"127.0.0.1:{servers[0].port}")
    assert status == 0
    assert address in text


def test_a_copy_is_told_to_stop_and_who_is_of_another_cluster_does_not_count(nodes: Nodes) -> None:
    servers = three(nodes)
    copied = nodes.directory / "copy"
    shutil.copytree(servers[1].directory, copied)
    copy = Server(copied, "--cluster-secret", "s", "--loglevel", "verbose")
    assert copy.wait() == 1
    assert f"runs already, at 127.0.0.1:{servers[1].port}: of two copies of a directory only one may run" in copy.output
    assert copy.output.count("of two copies") == 1
    assert servers[1].process.poll() is None
    assert "the link to node 2 is lost" not in servers[0].output + servers[2].output
    servers[2].kill()
    shutil.rmtree(servers[2].directory)
    again = Server(servers[2].directory, "--cluster-secret", "s", "--port", str(servers[2].port))
    assert again.wait() == 1
    assert "has no data: with --bootstrap this node is the first of a new cluster" in again.output
    nodes.found("n3", "--port", str(servers[2].port))
    row = asked(servers[0], "status")["nodes"][2]
    assert (row["answers"], row["state"], row["term"]) == (0, "of another cluster", None)


def test_every_version_of_the_table_can_be_seen(nodes: Nodes) -> None:
    first, _, third = three(nodes)
    newest = asked(third, "table")
    assert [node["id"] for node in newest["nodes"]] == [1, 2, 3]
    assert newest["shards"] == [{"id": 1, "slots": ["0-16383"], "replicas": [1, 2, 3]}]
    assert [node["id"] for node in asked(first, "table", "1")["nodes"]] == [1]
    status, text = redraft("table", "--node-address", f"127.0.0.1:{first.port}")
    assert status == 0
    lines = text.splitlines()
    assert lines[0] == f"version {newest['version']}, feature level {NEWEST}"
    assert lines[1].split() == ["id", "address", "incarnation", "leaving", "successor", "level"]
    ports = [server.port for server in nodes.servers]
    assert [line.split()[:2] for line in lines[2:5]] == [[str(n + 1), f"127.0.0.1:{ports[n]}"] for n in range(3)]
    assert lines[5:] == ["shard 1: slots 0-16383 on nodes 1 2 3"]


def test_what_makes_no_sense_is_refused(nodes: Nodes) -> None:
    first = nodes.found("n1")
    address = ("--node-address", f"127.0.0.1:{first.port}")
    for words, status, said in (
        (("remove", "9"), 4, "node 9 is not a member"),
        (("remove", "1"), 4, "node 1 is the last one"),
        (("promote", "1"), 4, "node 1 is a voter already"),
        (("promote", "0"), 4, "a node id is a whole number from 1 on"),
    ):
        found, text = redraft(*words, *address)
        assert found == status, text
        assert said in text
    assert redraft("members", "--node-address", "127.0.0.1:1")[0] == 3
    assert redraft("members", "--node-address", "nowhere")[0] == 2
    stranger = Server(nodes.directory / "x", "--join", f"127.0.0.1:{first.port}", "--cluster-secret", "other")
    assert stranger.wait() == 1
    assert "does not know the cluster's secret" in stranger.output


def test_the_status_of_all_nodes_is_seen_from_any_and_dead_ones_are_told(nodes: Nodes) -> None:
    first, second, third = three(nodes)
    found = asked(second, "status")
    assert (found["node-id"], found["leader-id"]) == (2, 1)
    assert [(row["id"], row["role"], row["answers"], row["term"]) for row in found["nodes"]] == [
        (1, "leader", 1, 1), (2, "voter", 1, 1), (3, "voter", 1, 1),
    ]  # fmt: skip
    eventually(lambda: len({row["applied-index"] for row in asked(third, "status")["nodes"]}) == 1)
    digests = {tuple(server.client().execute_command("REDRAFT", "DIGEST")) for server in nodes.servers}
    assert len(digests) == 1, digests
    third.kill()
    first.client().set("k", "v")
    dead = asked(first, "status")["nodes"][2]
    assert (dead["answers"], dead["term"], dead["lag"] > 0) == (0, None, True)
    status, text = redraft("status", "--node-address", f"127.0.0.1:{first.port}")
    assert status == 0
    assert text.splitlines()[1].split()[:4] == ["id", "address", "role", "answers"]


def test_a_table_for_people(nodes: Nodes) -> None:
    first = nodes.found("n1")
    status, text = redraft("members", "--node-address", f"127.0.0.1:{first.port}")
    assert status == 0
    assert text.splitlines()[0].split() == [
        "id",
        "address",
        "role",
        "match-index",
        "lag",
        "state",
        "reachable",
        "snapshot",
        "forgetful",
    ]
    assert text.splitlines()[1].split()[:3] == ["1", f"127.0.0.1:{first.port}", "leader"]
