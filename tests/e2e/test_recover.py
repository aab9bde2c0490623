"""The majority of a cluster is gone for good; one node is left, and goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from support.processes import Server, free_port

PATIENCE_SECONDS = 30


def redraft(*words: str) -> tuple[int, str]:
    """Run `redraft`: its exit status, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "redraft", *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Machines:
    """Nodes whose processes and directories come and go."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {node: free_port() for node in (1, 2, 3)}
        self.servers: list[Server] = []

    def start(self, name: str, *arguments: str) -> Server:
        server = Server(self.directory / name, "--cluster-secret", "s", "--loglevel", "verbose", *arguments)
        self.servers.append(server)
        return server.wait_ready()

    def member(self, node: int, name: str = "") -> Server:
        """Start one of the three."""
        members = ",".join(f"{n}=127.0.0.1:{port}" for n, port in self.ports.items())
        where = ("--port", str(self.ports[node]), "--node-id", str(node), "--initial-cluster", members)
        return self.start(name or f"n{node}", *where)

    def stop(self) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    yield machines
    machines.stop()


def client(server: Server) -> redis.Redis:
    return server.client(socket_timeout=PATIENCE_SECONDS)


def member_ids(server: Server) -> list[int]:
    status, text = redraft("members", "-a", f"127.0.0.1:{server.port}", "--json")
    assert status == 0, text
    return [member["id"] for member in json.loads(text)]


def last_index(server: Server) -> int:
    """How far a node's own log goes."""
    return int(json.loads(redraft("status", "-a", f"127.0.0.1:{server.port}", "--json")[1])["last-index"])


def test_a_survivor_goes_on_alone_with_all_that_it_holds(machines: Machines) -> None:
    first, second, third = (machines.member(node) for node in (1, 2, 3))
    for number in range(100):
        assert client(third).set(f"key:{number}", number)
    eventually(lambda: len({last_index(server) for server in (first, second, third)}) == 1)
    directory = machines.directory / "n1"
    status, text = redraft("recover", "--dir", str(directory), "--yes")
    assert (status, "in use by another process" in text) == (3, True), text
    second.kill()
    third.kill()
    first.kill()
    shutil.copytree(machines.directory / "n2", machines.directory / "copy-of-n2")
    for name in ("n2", "n3"):
        shutil.rmtree(machines.directory / name)

    status, text = redraft("recover", "--dir", str(directory))
    assert (status, text.splitlines()[-1]) == (2, "redraft: nothing was changed: say --yes to do it")
    assert "members: voters 1 2 3" in text
    status, text = redraft("recover", "--dir", str(directory), "--yes")
    assert status == 0, text
    status, text = redraft("recover", "--dir", str(directory), "--yes")
    assert (status, "is the only member of its cluster already" in text) == (1, True), text

    survivor = machines.member(1)
    assert client(survivor).mget([f"key:{number}" for number in range(100)]) == [b"%d" % n for n in range(100)]
    assert client(survivor).set("after", "1")
    assert member_ids(survivor) == [1]

    fresh = machines.start("n4", "--join", f"127.0.0.1:{survivor.port}")
    eventually(lambda: member_ids(survivor) == [1, 4])
    assert client(fresh).mget("key:7", "after") == [b"7", b"1"]
    assert client(fresh).incr("n") == 1

    old = machines.member(2, "copy-of-n2")
    old.wait_printed("is not reached: it says: ERR this node does not take that peer: it is of another cluster")
    with pytest.raises(redis.ResponseError, match="no leader was found in time"):
        client(old).get("key:7")
    assert member_ids(survivor) == [1, 4]
    assert client(survivor).incr("n") == 2


def test_a_recovery_that_was_cut_off_is_completed_by_the_next_start(machines: Machines) -> None:
    first, second, third = (machines.member(node) for node in (1, 2, 3))
    assert client(first).set("k", "v")
    for server in (second, third, first):
        server.kill()
    node = machines.directory / "n1" / "node.json"
    identity = json.loads(node.read_text())
    node.write_text(json.dumps({**identity, "cluster_id": "new", "recovering": True}))
    survivor = machines.member(1)
    assert "the recovery that was begun is complete" in survivor.output
    assert client(survivor).get("k") == b"v"
    assert client(survivor).set("after", "1")
    found = json.loads(node.read_text())
    assert (found["cluster_id"], found["recovering"]) == ("new", False)


def test_what_cannot_be_recovered_is_told_in_a_sentence(machines: Machines) -> None:
    directory = machines.directory
    assert redraft("recover", "--dir", str(directory / "nowhere"), "--yes")[0] == 1
    assert not (directory / "nowhere").exists()
    alone = machines.start("alone", "--bootstrap")
    alone.stop()
    status, text = redraft("recover", "--dir", str(directory / "alone"), "--yes")
    assert (status, text) == (1, "redraft: node 1 is the only member of its cluster already: start it\n")
    assert redraft("recover")[0] == 2
