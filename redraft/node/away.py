"""What becomes of commands at a node that does not serve data: it does not lead, or is not sure that it does.

Theory (design section 9). Each command takes one of these roads, and what a client sends takes them in its order:

* HERE: commands of the session and the node, and what is refused;
* READ: a read by a node that follows, from its own data, once the leader has said how new they must be (`reads`);
* NOW: a read of which that is not demanded (`read-consistency stale`, READONLY);
* LEADER: all else that needs data is passed on to the leader (`forwarding`);
* MOVED: with `redirect moved`, what names a key is answered with the leader's address instead (`redirect`).

Commands of one road that follow each other go together. Reads behind or before a command for the leader go with it,
which costs less than to go apart. A command that may wait goes alone.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.ids import NO_NODE
from redraft.node.forwarding import may_wait
from redraft.node.session import ReplyMode, Session
from redraft.node.split import goes_to_leader

if TYPE_CHECKING:
    from redraft.node.node import Node


AWAIT_LEADER = frozenset({"cluster|shards", "cluster|slots"})
"""What clients ask about the leader when they have lost one: answered when there is another."""


class Road(enum.Enum):
    """See the module."""

    HERE = "here"
    READ = "read"
    NOW = "now"
    LEADER = "leader"
    MOVED = "moved"


JOINS = {
    Road.READ: (Road.READ, Road.LEADER),
    Road.NOW: (Road.NOW,),
    Road.LEADER: (Road.READ, Road.NOW, Road.LEADER),
}
"""What may follow on a road in the same run."""


class Run:
    """Commands that go together."""

    __slots__ = ("begins_watch", "commands", "road", "waits", "writes")

    def __init__(self) -> None:
        self.commands: list[list[bytes]] = []
        self.road = Road.HERE
        self.writes = False
        self.waits = False
        self.begins_watch = False


class Away:
    """The roads at one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def route(self, session: Session, commands: list[list[bytes]], packed: bytes | None) -> None:
        """Look at commands that the session sent, in order; what cannot be looked at yet goes to its backlog. `packed`
        is as the router's."""
        if session.plain and self._route_run(session, commands, packed):
            return
        router, turns = self._node.router, self._node.turns
        run = Run()
        for position, argv in enumerate(commands):
            if position and turns.is_over():
                if run.commands:
                    self._send(session, run)
                session.backlog.extend(commands[position:])
                turns.rest(session)
                return
            road, command = self._road(session, argv)
            waits = command is not None and may_wait(command, argv)
            if run.commands and (waits or road not in JOINS[run.road]):
                self._send(session, run)
                run = Run()
                if session.is_blocked():
                    session.backlog.extend(commands[position:])
                    return
            if road is Road.MOVED:
                assert command is not None
                router.refuse_moved(session, command, argv)
            elif command is None or road is Road.HERE:
                if not router.dispatch(session, argv, None):
                    session.backlog.extend(commands[position:])
                    return
            else:
                self._join(session, run, road, command, argv)
                run.waits = waits
                if waits or session.reply_mode is not ReplyMode.ON:
                    self._send(session, run)
                    run = Run()
            if session.is_blocked():
                session.backlog.extend(commands[position + 1 :])
                return
        if run.commands:
            self._send(session, run)

    def _route_run(self, session: Session, commands: list[list[bytes]], packed: bytes | None) -> bool:
        """Take a chunk that is one command again and again, if it is: a pipeline of reads or of writes, or a single
        command. Whether it was."""
        node = self._node
        command = node.table.lookup_run(commands) if commands else None
        if command is None or command.kind is Kind.SESSION or command.blocking:
            return False
        if node.loading or node.shard.raft.leader is not None or node.pause.in_force or node.redirect.in_force:
            return False
        if command.kind is Kind.DATA_READ:
            if session.reads_stale or session.segments or node.settings.read_consistency == "stale":
                return False
            if not node.reads.may_ask():
                return False
            node.reads.take(session, commands)
        else:
            if node.observer.monitors or node.refuses_writes is not None:
                return False
            if command.denies_oom and node.out_of_memory:
                return False
            node.forwarding.pass_on(session, commands, writes=True, packed=packed)
        session.last_command = command
        return True

    def _join(self, session: Session, run: Run, road: Road, command: Command, argv: list[bytes]) -> None:
        if not run.commands or road is Road.LEADER:
            run.road = road
        run.commands.append(argv)
        run.writes = run.writes or command.kind is Kind.DATA_WRITE
        session.last_command = command
        if command.name == "unwatch":
            self._node.watches.unwatch(session)
            run.begins_watch = False
        elif command.name == "watch":
            run.begins_watch = True

    def _send(self, session: Session, run: Run) -> None:
        node = self._node
        if run.road is Road.NOW:
            node.reads.read_now(session, run.commands)
        elif run.road is Road.READ:
            node.reads.take(session, run.commands)
        else:
            for argv in run.commands:
                node.router.show(session, node.table.lookup(argv), argv)
            node.forwarding.pass_on(
                session, run.commands, writes=run.writes, waits=run.waits, begins_watch=run.begins_watch
            )

    def _road(self, session: Session, argv: list[bytes]) -> tuple[Road, Command | None]:
        node = self._node
        if node.loading or session.close_after_reply or session.closed:
            return Road.HERE, None
        try:
            command = node.table.lookup(argv)
            node.router.admit(session, command, argv)
        except CommandError:
            return Road.HERE, None
        if command.name in AWAIT_LEADER and session.multi is None and node.redirect.leader() == NO_NODE:
            return Road.LEADER, command
        if command.handler is None or not goes_to_leader(command) or node.pause.puts_off(command, session):
            return Road.HERE, None
        if node.redirect.in_force and node.redirect.maybe_moved(session, command, argv) is not None:
            return Road.MOVED, command
        if session.multi is not None:
            return Road.HERE, None
        if command.kind is Kind.DATA_READ and not session.segments and not command.blocks(argv):
            if node.redirect.may_read_here(session, command, argv):
                return Road.NOW, command
            if node.shard.raft.leader is None and node.reads.may_ask():
                return Road.READ, command
        return Road.LEADER, command
