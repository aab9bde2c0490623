"""Clients whose commands wait: BLPOP and its kin, XREAD BLOCK.

Theory. The wait itself is replicated state (`keyspace.waiters`); here is which session it belongs to, and what ends it
early: its time is over, CLIENT UNBLOCK, or the client is gone. These are writes too (REDRAFT UNBLOCK), because the
element that is pushed at the same moment goes to this client or to another according to the log. A session that was
closed has its UNBLOCK in the log before any later push, so it takes nothing with it.

A wait is named by a token that is drawn before the command is proposed, so that it can be ended at any time. A blocked
XREAD is in no log, and is ended at once.

When leadership is lost, what becomes of a wait is still decided by the log: a push that is under way may be committed
by the next leader, and give its element to a client of the last one. So the session goes on waiting and *follows the
log*: until its wait is served, or until the next leader has ended all waits of earlier terms, which it does before
anything else. Then nothing can be lost any more, and the client is told to ask again. A session whose leader is another
node follows the log of its own node in the same way. If the log says nothing in time, neither does this node know; nor
does it if a snapshot takes the place of the part of the log that may have said it.

Invariant: a session is in `_waits` exactly while it is blocked by this module; those that follow the log are in
`_following` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redraft.commands import errors
from redraft.commands.internal import ALL_WAITS
from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.ids import Term
from redraft.keyspace.waiters import Waiter
from redraft.node.context import NO_REPLY
from redraft.node.session import Blocked, Session
from redraft.resp.reply import NIL_ARRAY
from redraft.shard.shard import UNKNOWN_OUTCOME

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.node.timers import Timer

TOKEN_BITS = 62
FOLLOW_MS = 5000
"""How long a session follows the log after its leader is lost."""


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
        self._term = Term(0)
        """In which this node leads, or has led last."""
        self._following: dict[int, Term] = {}
        """Tokens of waits that began under a leader that is lost: in which term."""
        self._passed_on: dict[int, Any] = {}
        """Tokens of waits at another node that leads, and how they ended by the log, if its answer is still to come."""
        self._waiter = _declared(node, b"redraft|waiter")
        self._unblock = _declared(node, b"redraft|unblock")

    def __len__(self) -> int:
        return len(self._waits)

    def start(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Execute a command that may wait. The session does nothing else until it is answered."""
        node = self._node
        token = session.wait_token or node.random.getrandbits(TOKEN_BITS) | 1
        session.wait_token = 0
        self._waits[token] = session
        node.block(
            session,
            Blocked(
                "keys",
                on_timeout=lambda: self._end(token, b"TIMEOUT"),
                on_error=lambda: self._end(token, b"ERROR"),
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
        if isinstance(reply, CommandError) and reply.text == UNKNOWN_OUTCOME:
            self._lose(token)
        elif not isinstance(reply, Waiter):
            self._finish(token, reply)
        elif token in self._waits and reply.timeout_ms:
            deadline_ns = self._node.clock.monotonic_ns() + reply.timeout_ms * 1_000_000
            self._timers[token] = self._node.timers.at(deadline_ns, lambda: self._end(token, b"TIMEOUT"))

    def served(self, ended: list[tuple[int, Any]]) -> None:
        """These waits have ended with these replies."""
        for token, reply in ended:
            if token == ALL_WAITS:
                self._end_following(before=reply)
            elif token in self._passed_on:
                self._passed_on[token] = reply
            else:
                self._finish(token, reply)

    def clear(self) -> None:
        """This node leads from now on: end the waits that earlier leaders, or an earlier life of this node, have left
        behind, also those whose beginning is in the log and not applied yet."""
        shard = self._node.shard
        self._term = shard.raft.term
        if not shard.raft.is_alone or shard.keyspace.waiters.replicated():
            argv = [b"REDRAFT", b"UNBLOCK", b"ALL", b"%d" % shard.raft.term]
            shard.add_write(None, self._unblock, argv, 0)

    def leadership_lost(self) -> None:
        """Nobody is served by this node any more."""
        keyspace = self._node.shard.keyspace
        for token in list(self._waits):
            waiter = keyspace.waiters.by_token.get(token)
            if waiter is not None and waiter.local:
                keyspace.remove_waiter(token)
                self._finish(token, CommandError(errors.UNBLOCKED_BY_CHANGE))
            elif token not in self._following:
                self._lose(token)

    def _lose(self, token: int) -> None:
        """A wait that began here is not this node's to end any more."""
        session = self._forget(token)
        if session is not None and not session.is_guest:
            self.follow_log(session, token, self._term)

    def passed_on(self, token: int) -> None:
        """A wait of this name may begin at another node."""
        self._passed_on[token] = NO_REPLY

    def not_passed_on(self, token: int) -> Any:
        """The other node has answered, or will not; what the log has said already, or NO_REPLY."""
        return self._passed_on.pop(token, NO_REPLY)

    def follow_log(self, session: Session, token: int, term: Term, ended: Any = NO_REPLY) -> None:
        """A session's blocking command was given to a leader in a term, and that leader is lost: go on by the log,
        which may have said already how it `ended`."""
        node = self._node
        if ended is not NO_REPLY:
            node.unblock(session, ended)
            return
        self._waits[token] = session
        self._following[token] = term
        node.block(session, Blocked("keys", on_cancel=lambda: self._give_up(token)))
        deadline_ns = node.clock.monotonic_ns() + FOLLOW_MS * 1_000_000
        self._timers[token] = node.timers.at(deadline_ns, lambda: self._finish(token, CommandError(UNKNOWN_OUTCOME)))

    def _end_following(self, before: Term) -> None:
        """The waits of all terms before one are over."""
        for token in [token for token, term in self._following.items() if term < before]:
            self._finish(token, CommandError(errors.UNBLOCKED_BY_CHANGE))

    def log_skipped(self) -> None:
        """A snapshot was installed: waits that do not stand in it have ended in the part of the log that this node does
        not see, or are still to begin."""
        waiting = self._node.shard.keyspace.waiters.by_token
        for token in [token for token in self._following if token not in waiting]:
            self._finish(token, CommandError(UNKNOWN_OUTCOME))
        for token, ended in self._passed_on.items():
            if ended is NO_REPLY and token not in waiting:
                self._passed_on[token] = CommandError(UNKNOWN_OUTCOME)

    def _finish(self, token: int, reply: Any) -> None:
        session = self._forget(token)
        if session is not None:
            self._node.unblock(session, reply)

    def _forget(self, token: int) -> Session | None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()
        self._following.pop(token, None)
        return self._waits.pop(token, None)

    def _end(self, token: int, reason: bytes) -> None:
        """End a wait before it is served, if it is not served first: TIMEOUT, ERROR or CHANGE."""
        keyspace = self._node.shard.keyspace
        waiter = keyspace.waiters.by_token.get(token)
        if waiter is not None and waiter.local:
            keyspace.remove_waiter(token)
            self._finish(token, CommandError(errors.UNBLOCKED) if reason == b"ERROR" else NIL_ARRAY)
            return
        self._node.shard.add_write(None, self._unblock, [b"REDRAFT", b"UNBLOCK", b"%d" % token, reason], 0)

    def end_and_tell(self, session: Session, asker: Session, *, by_error: bool) -> bool:
        """End a session's wait by an entry, which tells another session whether it did or an element came first; False
        where the log has nothing to say about what the session waits for."""
        token = next((token for token, each in self._waits.items() if each is session), 0)
        shard = self._node.shard
        waiter = shard.keyspace.waiters.by_token.get(token)
        if token == 0 or token in self._following or (waiter is not None and waiter.local):
            return False
        argv = [b"REDRAFT", b"UNBLOCK", b"%d" % token, b"ERROR" if by_error else b"TIMEOUT"]
        shard.add_write(self._node.router.owner(asker, shard.batch), self._unblock, argv, 0)
        return True

    def _give_up(self, token: int) -> None:
        """The client of a wait that is not this node's to end is gone."""
        self._forget(token)

    def _cancel(self, token: int) -> None:
        """The client is gone, or the link to its node."""
        self._forget(token)
        self._end(token, b"CHANGE")

    def check(self) -> None:
        """Assert the invariants."""
        assert self._following.keys() <= self._waits.keys()
        assert self._timers.keys() <= self._waits.keys()
        for session in self._waits.values():
            assert session.blocked is not None


def end_early(node: Node, session: Session, *, by_error: bool) -> bool:
    """End what a session is blocked by, as if its time were over or with an error; False where that cannot be."""
    blocked = session.blocked
    if blocked is None or blocked.on_timeout is None:
        return False
    if not by_error:
        blocked.on_timeout()
    elif blocked.on_error is not None:
        blocked.on_error()
    else:
        node.unblock(session, CommandError(errors.UNBLOCKED))
    return True


def _declared(node: Node, name: bytes) -> Command:
    command = node.table.find(name)
    assert command is not None
    return command
