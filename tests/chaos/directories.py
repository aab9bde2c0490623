"""Directories that are lost, go back to an older copy, or are copied and started beside the original.

It is one at a time, so a majority has all that was ever acknowledged. What should not be is kept in `findings`.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable

from chaos.members import Members
from chaos.nodes import Nodes

END_SECONDS = 25.0
"""How long a node may take to hear that it must not go on."""
CATCH_UP_SECONDS = 60.0
REMOVALS = 20
MEANWHILE_SECONDS = 1.5
"""What is written in this time, a directory that goes back does not know."""


class Directories:
    """What is done to the directories of a cluster's nodes."""

    def __init__(self, nodes: Nodes, members: Members, random_: random.Random) -> None:
        self._nodes = nodes
        self._members = members
        self._random = random_

    def wipe(self, node: int) -> str:
        """A follower's directory is lost, and it is started by its old command. A founder is told to stop; another one
        joins anew. The one that was is removed."""
        nodes = self._nodes
        number = nodes.id_of(node)
        nodes.kill(node)
        shutil.rmtree(nodes.data(node))
        said = "is not started"
        if nodes.is_founder(node):
            nodes.start(node)
            status = nodes.wait_until_it_ends(node, END_SECONDS)
            said = nodes.last_line(node)
            if status is None:
                self._members.findings.append(f"node {node}, a founder that was wiped, goes on: {said}")
                nodes.kill(node)
        nodes.retire(node)
        for _ in range(REMOVALS):
            answer = self._members.remove_id(number, ask=self._random.choice(nodes.ids))
            if answer == "OK":
                break
            time.sleep(0.5)
        return f"node {node}: {said}; removed: {answer}"

    def restore(self, node: int, wait: Callable[[float], None]) -> str:
        """A follower's directory goes back to a copy of a moment ago; it must catch up, and cost nothing."""
        nodes = self._nodes
        older = nodes.home(node) / "older"
        nodes.stop(node)
        shutil.copytree(nodes.data(node), older)
        nodes.start(node)
        self._catch_up(node)
        wait(MEANWHILE_SECONDS)
        nodes.kill(node)
        shutil.rmtree(nodes.data(node))
        older.rename(nodes.data(node))
        nodes.start(node)
        self._catch_up(node)
        return f"node {node}"

    def _catch_up(self, node: int) -> None:
        """Wait until a node has applied all that the leader has now. Raises TimeoutError."""
        nodes = self._nodes
        deadline = time.monotonic() + CATCH_UP_SECONDS
        wanted = nodes.status(nodes.wait_for_leader()).get("applied-index", 0)
        while nodes.status(node).get("applied-index", -1) < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"node {node} does not catch up within {CATCH_UP_SECONDS:.0f} s")
            time.sleep(0.1)

    def copy(self, node: int) -> str:
        """A follower's directory is copied, and a node is started on the copy too: that one is told to stop."""
        nodes = self._nodes
        nodes.stop(node)
        twin = nodes.twin(node)
        nodes.start(node)
        self._catch_up(node)
        nodes.start(twin)
        status = nodes.wait_until_it_ends(twin, END_SECONDS)
        said = nodes.last_line(twin)
        if status is None:
            self._members.findings.append(f"node {twin}, a copy of node {node}, goes on: {said}")
        nodes.retire(twin)
        return f"node {node}: {said}"
