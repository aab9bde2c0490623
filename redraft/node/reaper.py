"""Removing keys whose time is over, at the pace at which it comes.

Theory. A key is gone for every reader at its deadline (`shard.present`); what is left to do is to let go of its memory.
The leader proposes that, an entry for a slice of the keys that are due, earliest deadline first, so that every replica
removes the same ones. A slice is large enough for what is due, up to `MOST_KEYS`, which takes some milliseconds; the
next one is proposed when it is applied, at once while more is due, and otherwise after `INTERVAL_MS`.

Invariant: a database has one slice under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.shard.batch import Batch

if TYPE_CHECKING:
    from redraft.node.node import Node

INTERVAL_MS = 10
"""The least time between two slices where one is enough."""
FEW_KEYS = 200
"""A slice's least size: more keys fall due until it is executed."""
MOST_KEYS = 2000


class Reaper:
    """What removes due keys at one node, while it serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.active = True
        """Whether it does so by itself (DEBUG SET-ACTIVE-EXPIRE)."""
        self._last_ms = node.steady_ms
        self._behind: set[int] = set()
        """The databases in which more was due than their last slice holds."""
        self._under_way: dict[int, Batch] = {}
        """By database: the batch of its last slice."""
        self._command = node.table.find(b"redraft|reap")

    def wants_work(self) -> bool:
        """Whether there are keys to be removed: a tick does it."""
        node = self._node
        if node.loading or not (node.serves and self.active):
            return False
        now_ms = node.clocks.now_ms()
        return any(database.is_due(now_ms) for database in node.shard.keyspace.databases)

    def is_behind(self) -> bool:
        """Whether more was due than the last slice holds, so that the next one follows as soon as it is applied."""
        return bool(self._behind) and any(not self._is_under_way(number) for number in self._behind)

    def step(self) -> None:
        """A tick's share: propose a slice of each database that has one."""
        node = self._node
        if not (node.serves and self.active):
            self._behind.clear()
            return
        if node.steady_ms - self._last_ms < INTERVAL_MS and not self.is_behind():
            return
        for number, database in enumerate(node.shard.keyspace.databases):
            if self._is_under_way(number):
                continue
            if database.is_due(node.shard.present.clock_ms):
                self._last_ms = node.steady_ms
                self.reap(number)
            else:
                self._behind.discard(number)

    def _is_under_way(self, number: int) -> bool:
        batch = self._under_way.get(number)
        return batch is not None and not batch.applied

    def reap(self, number: int) -> Batch:
        """Have keys of a database removed that are due; the batch in which that is done."""
        assert self._command is not None
        node = self._node
        due = node.shard.keyspace.databases[number].count_due(node.shard.present.clock_ms)
        count = min(max(due, FEW_KEYS), MOST_KEYS)
        if due > count + FEW_KEYS:
            self._behind.add(number)
        else:
            self._behind.discard(number)
        batch = node.shard.add_write(None, self._command, [b"REDRAFT", b"REAP", b"%d" % count], number)
        self._under_way[number] = batch
        return batch
