"""Making and changing a cluster of real processes, as an operator does it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
    first = nodes.start("n1")
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


def test_a_node_joins_that_needs_a_snapshot(nodes: Nodes) -> None:
    first = nodes.start("n1", "--log-retain-entries", "1")
    for number in range(50):
        first.client().set(f"key:{number}", number)
    first.client().execute_command("SAVE")
    second = nodes.join("n2", first)
    second.wait_printed("is installed")
    eventually(lambda: roles(first) == {1: "leader", 2: "voter"})
    assert second.client().execute_command("DEBUG", "DIGEST") == first.client().execute_command("DEBUG", "DIGEST")


def test_leadership_is_handed_over(nodes: Nodes) -> None:
    servers = three(nodes)
    assert asked(servers[0], "transfer-leader", "3") == {"leader-id": 3}
    assert asked(servers[1], "status")["leader-id"] == 3
    assert servers[1].client().incr("n") == 1


def test_nodes_are_removed_alive_or_dead(nodes: Nodes) -> None:
    servers = three(nodes)
    servers[2].kill()
    assert asked(servers[1], "remove", "3") == {"removed": 3}
    assert roles(servers[0]) == {1: "leader", 2: "voter"}
    assert asked(servers[1], "leave") == {"removed": 2}
    assert roles(servers[0]) == {1: "leader"}
    assert servers[0].client().incr("n") == 1


def test_what_makes_no_sense_is_refused(nodes: Nodes) -> None:
    first = nodes.start("n1")
    address = ("--node-address", f"127.0.0.1:{first.port}")
    for words, status, said in (
        (("remove", "9"), 4, "node 9 is not a member"),
        (("remove", "1"), 4, "a group cannot be without voters"),
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


def test_a_table_for_people(nodes: Nodes) -> None:
    first = nodes.start("n1")
    status, text = redraft("members", "--node-address", f"127.0.0.1:{first.port}")
    assert status == 0
    assert text.splitlines()[0].split() == ["id", "address", "role", "match-index", "lag", "state", "reachable"]
    assert text.splitlines()[1].split()[:3] == ["1", f"127.0.0.1:{first.port}", "leader"]
