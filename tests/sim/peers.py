"""The node's queues to other nodes, watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from redraft.ids import GroupId
from redraft.node.peers import Peers
from redraft.raft.messages import AnyMessage

Watch = Callable[[GroupId, AnyMessage], None]


class WatchedPeers(Peers):
    """The node's own, with somebody who sees each of Raft's messages as it leaves."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def send_raft(self, group: GroupId, messages: Iterable[AnyMessage]) -> None:
        """Send messages of a group."""
        for message in messages:
            self._watch(group, message)
            queue = self._queues.get(message.to)
            if queue is not None:
                queue.raft.append((group, message))
