"""CLIENT PAUSE: commands of all clients, or their writes, are put off for a time.

A session that must wait is blocked with its command in its backlog, and goes on when the pause ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.commands.table import Command, Kind
from redraft.node.context import NO_REPLY
from redraft.node.session import Blocked, Session

if TYPE_CHECKING:
    from redraft.node.node import Node


class Pause:
    """The pause of one node, if one is in force."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._until_ns = 0
        self._writes_only = True
        self._sessions: list[Session] = []

    @property
    def in_force(self) -> bool:
        """Whether some commands are put off."""
        return bool(self._until_ns)

    def begin(self, milliseconds: int, *, writes_only: bool) -> None:
        """Put off commands (all, or writes) for a time; a longer pause that is in force stays."""
        node = self._node
        until = node.clock.monotonic_ns() + milliseconds * 1_000_000
        if self._until_ns and not self._writes_only:
            writes_only = False
        self._writes_only = writes_only
        self._until_ns = max(until, self._until_ns)
        node.refresh_plain()
        node.timers.at(self._until_ns, self._end_when_over)

    def end(self) -> None:
        """Go on."""
        self._until_ns = 0
        self._node.refresh_plain()
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            if session.blocked is not None and session.blocked.kind == "pause":
                self._node.unblock(session, NO_REPLY)

    def _end_when_over(self) -> None:
        if self._until_ns and self._node.clock.monotonic_ns() >= self._until_ns:
            self.end()

    def puts_off(self, command: Command, session: Session) -> bool:
        """Whether the pause in force puts this command off."""
        if not self._until_ns or command.name == "client|unpause":
            return False
        if not self._writes_only:
            return command.name != "client|pause"
        if command.name == "exec":
            return any(queued.kind is Kind.DATA_WRITE for queued, _ in session.multi or ())
        return command.kind is Kind.DATA_WRITE and session.multi is None

    def put_off(self, session: Session) -> None:
        """Put a session off until the pause ends; its command stays in its backlog."""
        self._sessions.append(session)
        self._node.block(session, Blocked("pause"))
