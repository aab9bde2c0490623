"""WAIT and WAITAOF: how many nodes have a client's last write on disk.

Theory. What a client was answered is on a majority's disks already; these commands tell of more than that. The leader
knows what each other node has durable, since followers acknowledge entries after their fsync, and it knows where the
client's last write stands in the log. A client that has written nothing is told of all nodes.

Invariant: a session waits here at most once, and is blocked meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from redraft.commands import errors
from redraft.commands.table import Reply
from redraft.errors import CommandError
from redraft.node.context import NO_REPLY
from redraft.node.session import Blocked, Session

if TYPE_CHECKING:
    from redraft.node.node import Node


class Durable(NamedTuple):
    """Who has an entry on disk."""

    here: int
    """1 if this node has."""
    others: int


class Wanted(NamedTuple):
    """What a session waits for."""

    write_index: int
    here: int
    others: int
    reply: Callable[[Durable], Reply]


class Waits:
    """The sessions of one node, which leads, that wait for other nodes' disks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: dict[Session, Wanted] = {}

    def wait(self, session: Session, wanted: Wanted, timeout_ms: int) -> Reply:
        """Answer a session once so many nodes have what it wants, or the time is over (0: never)."""
        node = self._node
        durable = self.durable(wanted.write_index)
        if _is_enough(durable, wanted):
            return wanted.reply(durable)
        self._waiting[session] = wanted
        deadline_ns = node.clock.monotonic_ns() + timeout_ms * 1_000_000 if timeout_ms else None
        blocked = Blocked("wait", deadline_ns, lambda: self._answer(session), lambda: self._forget(session))
        blocked.on_error = lambda: self._refuse(session, errors.UNBLOCKED)
        node.block(session, blocked)
        return NO_REPLY

    def durable(self, index: int) -> Durable:
        """Who has an entry on disk. Raises CommandError where this node does not lead."""
        raft = self._node.shard.raft
        if raft.leader is None:
            raise CommandError("CLUSTERDOWN this node does not lead")
        others = sum(progress.match >= index for progress in raft.leader.followers.values())
        return Durable(int(raft.status().stable_index >= index), others)

    def _answer(self, session: Session) -> None:
        wanted = self._waiting.pop(session)
        self._node.unblock(session, wanted.reply(self.durable(wanted.write_index)))

    def _refuse(self, session: Session, text: str) -> None:
        del self._waiting[session]
        self._node.unblock(session, CommandError(text))

    def _forget(self, session: Session) -> None:
        self._waiting.pop(session, None)

    def step(self) -> None:
        """Nodes may have written more: answer those that have waited for it."""
        for session, wanted in list(self._waiting.items()):
            if _is_enough(self.durable(wanted.write_index), wanted):
                self._answer(session)

    def leadership_lost(self) -> None:
        """This node does not know any more who has what."""
        for session in list(self._waiting):
            self._refuse(session, errors.UNBLOCKED_BY_CHANGE)

    def check(self) -> None:
        """Assert the invariants."""
        assert all(session.blocked is not None for session in self._waiting)


def _is_enough(durable: Durable, wanted: Wanted) -> bool:
    return durable.here >= wanted.here and durable.others >= wanted.others
