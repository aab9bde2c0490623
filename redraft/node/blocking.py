"""Clients whose commands wait: BLPOP and its kin, XREAD BLOCK.

Theory. The wait itself is replicated state (`keyspace.waiters`); here is which session it belongs to, and what ends it
early: its time is over, CLIENT UNBLOCK, or the client is gone. These are writes too (REDRAFT UNBLOCK), because the
element that is pushed at the same moment goes to this client or to another according to the log. A session that was
closed has its UNBLOCK in the log before any later push, so it takes nothing with it.

A wait is named by a token that is drawn before the command is proposed, so that it can be ended at any time. A blocked
XREAD is in no log, and is ended at once.

Invariant: a session is in `_waits` exactly while it is blocked by this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redraft.commands import errors
from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.keyspace.waiters import Waiter
from redraft.node.session import Blocked, Session
from redraft.resp.reply import NIL_ARRAY

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.node.timers import Timer

TOKEN_BITS = 62


class Taker(NamedTuple):
    """Who gets the reply of a blocking command in a batch."""

    session: Session
    token: int


class Blocking:
    """The blocked clients of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waits: dict[int, Session] = {}
        self._timers: dict[int, Timer] = {}
        self._waiter = _declared(node, b"redraft|waiter")
        self._unblock = _declared(node, b"redraft|unblock")

    def __len__(self) -> int:
        return len(self._waits)

    def start(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Execute a command that may wait. The session does nothing else until it is answered."""
        node = self._node
        token = node.random.getrandbits(TOKEN_BITS)
        self._waits[token] = session
        node.block(
            session,
            Blocked(
                "keys",
                on_timeout=lambda: self._end(token, by_error=False),
                on_error=lambda: self._end(token, by_error=True),
                on_cancel=lambda: self._cancel(token),
            ),
        )
        taker = Taker(session, token)
        if command.kind is Kind.DATA_WRITE:
            named = (self._waiter, [b"REDRAFT", b"WAITER", b"%d" % token])
            batch = node.shard.add_blocking(taker, named, command, argv, session.database)
            if node.watches.watchers:
                node.watches.aimed(command, argv, session.database, batch)
        else:
            self.answered(taker, node.shard.read_blocking(token, taker, command, argv, session.database))

    def answered(self, taker: Taker, reply: Any) -> None:
        """A command was executed: this is its reply, or the wait that it has begun."""
        token = taker.token
        if not isinstance(reply, Waiter):
            self._finish(token, reply)
        elif token in self._waits and reply.timeout_ms:
            deadline_ns = self._node.clock.monotonic_ns() + reply.timeout_ms * 1_000_000
            self._timers[token] = self._node.timers.at(deadline_ns, lambda: self._end(token, by_error=False))

    def served(self, ended: list[tuple[int, Any]]) -> None:
        """These waits have ended with these replies."""
        for token, reply in ended:
            self._finish(token, reply)

    def clear(self) -> None:
        """End the waits that an earlier leader, or an earlier life of this node, has left behind."""
        if self._node.shard.keyspace.waiters.replicated():
            self._node.shard.add_write(None, self._unblock, [b"REDRAFT", b"UNBLOCK", b"ALL"], 0)

    def leadership_lost(self) -> None:
        """Nobody is served here any more: clients have to ask again, wherever the leader is."""
        for token in list(self._waits):
            waiter = self._node.shard.keyspace.waiters.by_token.get(token)
            if waiter is not None and waiter.local:
                self._node.shard.keyspace.remove_waiter(token)
            self._finish(token, CommandError(errors.UNBLOCKED_BY_CHANGE))

    def _finish(self, token: int, reply: Any) -> None:
        session = self._forget(token)
        if session is not None:
            self._node.unblock(session, reply)

    def _forget(self, token: int) -> Session | None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()
        return self._waits.pop(token, None)

    def _end(self, token: int, *, by_error: bool) -> None:
        """End a wait before it is served, if it is not served first."""
        keyspace = self._node.shard.keyspace
        waiter = keyspace.waiters.by_token.get(token)
        if waiter is not None and waiter.local:
            keyspace.remove_waiter(token)
            self._finish(token, CommandError(errors.UNBLOCKED) if by_error else NIL_ARRAY)
            return
        reason = b"ERROR" if by_error else b"TIMEOUT"
        self._node.shard.add_write(None, self._unblock, [b"REDRAFT", b"UNBLOCK", b"%d" % token, reason], 0)

    def _cancel(self, token: int) -> None:
        """The client is gone."""
        self._forget(token)
        self._end(token, by_error=False)


def _declared(node: Node, name: bytes) -> Command:
    command = node.table.find(name)
    assert command is not None
    return command
