"""Turns: how much of a tick one client may have, and who goes on in the next one.

Theory. A client may send a million small commands in one go, and each tick must still serve everybody, and Raft. So
what a client has sent is looked at for about `TURN_NS` at a time. What is left waits: bytes that are not parsed yet in
`Session.unread`, commands that are parsed in its backlog. The client is *resting*: its socket is not read, and each
following tick gives it another turn, as it does to every other client that rests.

A turn is measured between commands, since a command is executed as a whole. A write is executed later, with the entry
that holds it. So it is charged with what its command has taken on average: a client that pipelines writes of a
millisecond has five of them in an entry, not a thousand.

The parser takes all that it is given, so it is given a piece at a time: a large one where hiredis parses it, a small
one of inline commands, of which there may be one in every two bytes, and before AUTH.

Invariant (`check`, and `Node.check`): who rests has something to go on with, and whoever has unparsed bytes rests, is
blocked, or is owed replies that come first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redraft.commands.table import Command
from redraft.node.session import Session

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.node")

TURN_NS = 5_000_000
"""What a client has of a tick."""
ROUND_NS = 20_000_000
"""What those who rest have of a tick, all together."""
LOOK_NS = 500_000
"""How long reads go on between two looks at the turn."""
FIRST_READS = 8
MOST_READS_A_LOOK = 64
"""How many they are: of the first look, before anybody knows how long these take, and at most."""
PIECE_BYTES = 64 * 1024
"""What is parsed in one go of a chunk that begins with an array: some thousand commands."""
SLOW_PIECE_BYTES = 4 * 1024
"""The same where the strict parser does it: of inline commands, and before AUTH."""
UNAUTHENTICATED_BYTES = 1024 * 1024
"""What may be held of the input of a client that is not in."""
ARRAY = ord("*")
SMALL_CHUNK_BYTES = 16 * 1024
"""A chunk of commands up to this size is parsed at once: what an ordinary read from a socket brings."""


class Turns:
    """The turns of one node's sessions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ends_ns = 0
        """When the present turn is over."""
        self._resting: dict[Session, None] = {}
        """In order, as a queue."""

    def __len__(self) -> int:
        return len(self._resting)

    def begin(self) -> None:
        """A session is looked at from now on."""
        self._ends_ns = self._node.clock.monotonic_ns() + TURN_NS

    def is_over(self) -> bool:
        """Whether the session that is looked at has had its turn."""
        return self._node.clock.monotonic_ns() >= self._ends_ns

    def charge(self, command: Command, count: int = 1) -> None:
        """Writes of the session will be executed with their entry; what they may take is taken off its turn."""
        if command.calls:
            self._ends_ns -= command.nanoseconds * count // command.calls

    @staticmethod
    def most(command: Command) -> int:
        """How many writes of a command fit into a turn, by what it has taken so far; at least one."""
        if not command.nanoseconds:
            return 1 << 30
        return max(1, TURN_NS * command.calls // command.nanoseconds)

    @staticmethod
    def next_look(command: Command) -> int:
        """How many reads of a command may be executed before the next look at the turn, by what it has taken so far."""
        return max(1, min(MOST_READS_A_LOOK, LOOK_NS * command.calls // (command.nanoseconds or 1)))

    def rest(self, session: Session) -> None:
        """A session has had its turn: it goes on in the next tick."""
        self._resting[session] = None

    def rests(self, session: Session) -> bool:
        """Whether a session waits for its next turn."""
        return session in self._resting

    def forget(self, session: Session) -> None:
        """A session is gone."""
        self._resting.pop(session, None)
        session.unread.clear()

    def check_input(self, session: Session) -> None:
        """Cut off a client that has sent more commands that must wait, or are queued by MULTI, than it may
        (networking.c, readQueryFromClient)."""
        limit = self._node.settings.client_query_buffer_limit
        if not session.authenticated:
            limit = min(limit, UNAUTHENTICATED_BYTES)
        size = session.input_bytes() + (session.multi_bytes if session.multi else 0)
        if size > limit and not session.killed:
            log.warning("client %s is closed: %d bytes of its commands wait", session.address, size)
            session.killed = session.close_after_reply = True
            session.refresh_plain()
            self._node.outgoing[session] = None

    def feed(self, session: Session, data: bytes) -> None:
        """Parse what a session has sent, and look at it, piece by piece, for a turn."""
        session.unread.append(memoryview(data))
        if session not in self._resting:
            self.begin()
            self.go_on_reading(session)

    def go_on_reading(self, session: Session) -> None:
        """Parse and look at what is left of a session's bytes, for what is left of its turn."""
        unread = session.unread
        while unread and not session.backlog and session.blocked is None:
            if session.closed or session.close_after_reply:
                unread.clear()
                return
            if self.is_over():
                self.rest(session)
                return
            data = unread.popleft()
            wanted = session.parser.wanted_bytes
            is_fast = session.parser.authenticated and (wanted or data[0] == ARRAY)
            size = wanted + (PIECE_BYTES if is_fast else SLOW_PIECE_BYTES)
            if len(data) > size:
                unread.appendleft(data[size:])
            self._node.parse(session, bytes(data[:size]))

    def go_on(self) -> None:
        """Those who rest have another turn each, as far as the tick's share goes; the others are first in the next."""
        if not self._resting:
            return
        node = self._node
        ends_ns = node.clock.monotonic_ns() + ROUND_NS
        for session in list(self._resting):
            del self._resting[session]
            node.router.resume(session)
            if session.out or session.close_after_reply:
                node.outgoing[session] = None
            if node.clock.monotonic_ns() >= ends_ns:
                return

    def check(self) -> None:
        """Assert the invariant."""
        for session in self._resting:
            assert session.backlog or session.unread
