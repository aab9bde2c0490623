"""Founding a cluster by a list: a founder acts only when every other node of the list has taken it for what it is.

A node whose directory is new has promised nothing, and one whose directory was emptied has forgotten what it promised;
by themselves they look alike. The others can tell: each keeps the incarnation of every node that it has met, durably,
and refuses another one (`members`). So a founder stands still, with no vote and no acknowledgement, until all others
of the list know it by its incarnation: they have let it in once, or have come to it, which they do when they have kept
who it is. Were two of three founders emptied and started by their old command, they would else elect one of them, and
acknowledge; now they wait for the third, which refuses them.

So it is enough that one of each two reaches the other. And who takes part has been met by all: should it be gone for
good, nobody waits for it.

That all have let it in is kept too, and never asked again.

What is left out: a list all of whose nodes were emptied founds anew, since nobody is left who knows better.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from redraft.ids import NodeId

log = logging.getLogger("redraft.cluster")


class Founding:
    """What one node still waits for before it takes part in its cluster."""

    def __init__(self) -> None:
        self.awaited: set[NodeId] = set()
        """The nodes that have not let this one in yet, nor come to it."""
        self._on_founded: Callable[[], None] = lambda: None

    @property
    def under_way(self) -> bool:
        """Whether this node has no part in the cluster yet."""
        return bool(self.awaited)

    def begin(self, others: Iterable[NodeId], on_founded: Callable[[], None]) -> None:
        """Wait for others; when all have let this node in, `on_founded` makes that durable. Raises StorageError."""
        self.awaited, self._on_founded = set(others), on_founded
        if self.awaited:
            log.warning("the cluster is founded when all of its nodes have met; to be met yet: %s", self._shown())
        else:
            on_founded()

    def let_in(self, peer: NodeId) -> None:
        """A node knows this one from now on by its incarnation, and by no other. Raises StorageError."""
        if peer not in self.awaited:
            return
        if self.awaited == {peer}:
            self._on_founded()
        self.awaited.discard(peer)
        if self.awaited:
            log.warning("node %d has been met; to be met yet: %s", peer, self._shown())
        else:
            log.warning("all nodes of the new cluster have met: this one takes part")

    def _shown(self) -> str:
        return ", ".join(map(str, sorted(self.awaited)))
