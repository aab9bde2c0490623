"""Changing a cluster's members while it works: nodes are removed, join, and take each other's place.

Whatever a fault has done, `reconcile` brings the cluster back to its size: who is not in the table any more must have
ended by itself, since it is told; others join in its stead. What should not be is kept in `findings`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from chaos.nodes import Nodes
from support.processes import ReplyError

CHANGE_SECONDS = 12.0
"""A node waits ten for a change to be carried out."""
SETTLE_SECONDS = 40.0
NOT_DONE = ("ERR ", "CLUSTERDOWN ", "LOADING ")
"""How the answers begin that say for certain that nothing has changed."""
LOOK_SECONDS = 0.1


class Members:
    """The members of a cluster of so many nodes."""

    def __init__(self, nodes: Nodes, random_: random.Random) -> None:
        self._nodes = nodes
        self._random = random_
        self._size = len(nodes.ids)
        self.findings: list[str] = []
        self.changed = False
        """Whether something was done since the last time that all was as it should be."""

    def table(self) -> dict[int, str] | None:
        """The role of each member by its id, as the node that leads says; None when none does."""
        leader = self._nodes.leader()
        rows = None if leader is None else self._nodes.ask(leader, "REDRAFT", "MEMBERS")
        if not isinstance(rows, list):
            return None
        members = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        return {member[b"id"]: member[b"role"].decode() for member in members}

    def remove(self, node: int, *, ask: int) -> str:
        """Ask a node to have another removed; what it says. The node may end from now on."""
        self.changed = True
        number = self._nodes.id_of(node)
        assert number is not None
        self._nodes.may_end(node)
        said = _said(self._nodes.ask(ask, "REDRAFT", "REMOVE", str(number), seconds=CHANGE_SECONDS))
        self._note(node, said)
        return said

    def remove_id(self, number: int | None, *, ask: int) -> str:
        """Ask a node to have one removed whose directory is gone; what it says."""
        self.changed = True
        return _said(self._nodes.ask(ask, "REDRAFT", "REMOVE", str(number), seconds=CHANGE_SECONDS))

    def replace(self, old: int, new: int, *, ask: int) -> str:
        """Ask a node to have one take another's place; what it says."""
        self.changed = True
        numbers = [self._nodes.id_of(each) for each in (old, new)]
        assert None not in numbers
        self._nodes.may_end(old)
        said = _said(self._nodes.ask(ask, "REDRAFT", "REPLACE", *map(str, numbers), seconds=CHANGE_SECONDS))
        self._note(old, said)
        return said

    def _note(self, node: int, said: str) -> None:
        """What was said about a removal."""
        if said == "OK":
            self._nodes.leaving.add(node)
        elif not said.startswith(NOT_DONE):
            self._nodes.doubtful.add(node)

    def join(self, to: int | None = None, *, wait: bool = True) -> int:
        """Have a new node join by way of one of the others, and wait until it votes; the node. Raises TimeoutError."""
        self.changed = True
        sure = [each for each in self._nodes.ids if self._nodes.runs(each) and self._votes(each)]
        node = self._nodes.add(to or (sure or self._nodes.ids)[0])
        self._nodes.start(node)
        self._nodes.ids = [*self._nodes.ids, node]
        if wait:
            self._wait(f"node {node} does not become a voter", lambda: self._votes(node))
        return node

    def _votes(self, node: int) -> bool:
        number, table = self._nodes.id_of(node), self.table()
        return number is not None and table is not None and table.get(number) in ("voter", "leader")

    def _wait(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} within {SETTLE_SECONDS} s")
            time.sleep(LOOK_SECONDS)

    def reconcile(self) -> None:
        """Have the cluster as it should be again; nothing is cut and all run. Raises TimeoutError."""
        if not self.changed:
            return
        self._wait("changes do not come to an end", self._rests)
        self._wait("a new node is not taken in", lambda: None not in map(self._nodes.id_of, self._nodes.ids))
        self._wait("changes do not come to an end", self._rests)
        for node in list(self._nodes.ids):
            if not self._votes(node):
                self._see_off(node)
        while len(self._nodes.ids) > self._size:
            node = self._random.choice(self._nodes.ids)
            said = self.remove(node, ask=self._random.choice([each for each in self._nodes.ids if each != node]))
            if said == "OK":
                self._see_off(node)
        while len(self._nodes.ids) < self._size:
            self.join()
        self.changed = False

    def _rests(self) -> bool:
        """Whether nobody is joining or leaving."""
        table = self.table()
        return table is not None and {*table.values()} == {"leader", "voter"}

    def _see_off(self, node: int) -> None:
        """A node that is a member no more ends by itself."""
        if self._nodes.runs(node) and self._nodes.wait_until_it_ends(node, SETTLE_SECONDS) is None:
            self.findings.append(f"node {node} was removed, and still runs: {self._nodes.last_line(node)}")
        self._nodes.retire(node)


def _said(reply: Any) -> str:
    if reply is None:
        return "no answer"
    if isinstance(reply, bytes):
        return reply.decode()
    return str(reply) if isinstance(reply, ReplyError) else repr(reply)
