"""All nodes are restarted, one after the other, and clients of the others notice nothing."""

from __future__ import annotations

import threading
from pathlib import Path

from chaos.network import Network
from chaos.nodes import Nodes

from support.processes import Connection


class Counting:
    """A client of one node that counts, and keeps every error."""

    def __init__(self, nodes: Nodes, node: int) -> None:
        host, port = nodes.places[node]
        self.node = node
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
            clients = [Counting(nodes, node) for node in nodes.ids if node != stopped]
            assert nodes.stop(stopped) == 0
            nodes.start(stopped)
            nodes.wait_until_it_follows(stopped)
            for client in clients:
                client.stop()
                assert client.errors == [], f"while node {stopped} was restarted, at node {client.node}"
                acknowledged += client.acknowledged
        assert nodes.ask(nodes.ids[0], "GET", "n") == b"%d" % acknowledged
        assert acknowledged > 100
    finally:
        nodes.close()
