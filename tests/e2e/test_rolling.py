"""All nodes are restarted, or replaced, one after the other, and clients of the others notice nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from chaos.network import Network
from chaos.nodes import Nodes

from support.processes import Connection, Server

PATIENCE_SECONDS = 30


class Counting:
    """A client of one node that counts, and keeps every error."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.acknowledged = 0
        self.errors: list[str] = []
        self._connection = Connection(port, host)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(0.001):
            try:
                reply = self._connection("INCR", "n")
            except (OSError, EOFError) as error:
                self.errors.append(repr(error))
                return
            if isinstance(reply, int):
                self.acknowledged += 1
            else:
                self.errors.append(str(reply))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._connection.close()


def test_a_rolling_restart_fails_no_command_of_clients_of_other_nodes(tmp_path: Path) -> None:
    nodes = Nodes(3, tmp_path, Network())
    try:
        for node in nodes.ids:
            nodes.start(node)
        nodes.wait_for_leader()
        nodes.wait_for_agreement()
        acknowledged = 0
        # The leader among them, wherever it has gone by then; and it is the last, so that it is restarted once more.
        for stopped in [*nodes.ids, nodes.wait_for_leader()]:
            clients = {node: Counting(*reversed(nodes.places[node])) for node in nodes.ids if node != stopped}
            assert nodes.stop(stopped) == 0
            nodes.start(stopped)
            nodes.wait_until_it_follows(stopped)
            for node, client in clients.items():
                client.stop()
                assert client.errors == [], f"while node {stopped} was restarted, at node {node}"
                acknowledged += client.acknowledged
        assert nodes.ask(nodes.ids[0], "GET", "n") == b"%d" % acknowledged
        assert acknowledged > 100
    finally:
        nodes.close()


def test_a_rolling_replacement_fails_no_command_of_clients_of_other_nodes(tmp_path: Path) -> None:
    servers: dict[int, Server] = {}

    def start(number: int, *arguments: str) -> None:
        servers[number] = Server(tmp_path / f"n{number}", "--cluster-secret", "s", *arguments).wait_ready()

    def members(by: int) -> dict[int, str]:
        found = servers[by].client().execute_command("REDRAFT", "MEMBERS")
        return {each[b"id"]: each[b"role"].decode() for each in found}

    def voters(by: int, *expected: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (set(found := members(by)) == set(expected) and set(found.values()) <= {"leader", "voter"}):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    try:
        start(1, "--bootstrap")
        for number in (2, 3):
            start(number, "--join", f"127.0.0.1:{servers[1].port}")
            voters(1, *servers)
        acknowledged = 0
        for old in (1, 2, 3):  # the leader first, and wherever leadership has gone
            new = old + 3
            stays = [number for number in servers if number != old]
            start(new, "--join", f"127.0.0.1:{servers[old].port}")
            voters(new, *servers)
            clients = {number: Counting(servers[number].port) for number in (*stays, new)}
            assert servers[stays[0]].client().execute_command("REDRAFT", "REPLACE", old, new) == b"OK"
            gone = servers.pop(old)
            gone.wait()
            assert "was removed from the cluster" in gone.output
            voters(new, *servers)
            for number, client in clients.items():
                client.stop()
                assert client.errors == [], f"while node {old} was replaced, at node {number}"
                acknowledged += client.acknowledged
        assert servers[4].client().get("n") == b"%d" % acknowledged
        assert acknowledged > 100
    finally:
        for server in servers.values():
            server.kill()
