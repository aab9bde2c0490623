"""Reads at a node that does not lead: from its own data, once they are known to be new enough.

Theory (design section 8; thesis section 6.4). A read is linearizable if it sees all that was acknowledged before it
began. What that is, only the leader can tell: so this node asks it, once a tick for all reads that came in meanwhile,
for a *read index*; the leader answers at once while it has a lease, or else after a round of heartbeats; and when this
node has applied that far, it executes the reads. The leader is spared the reads themselves.

Time is part of what is read, since a key is gone at its deadline for whoever reads. Whether it is is decided by the log
(`shard`), so here as everywhere. But the leader has such a read wait for an entry, if a key is due by its clock: so its
time comes with the index, and a read that asks for such a key is passed on to it.

Reads that nobody answers in time, or that wait for entries that do not come, are passed on to the leader like any other
command, as are those that stand with a write in one pipeline. A read of which nothing is demanded (`stale`, READONLY)
is executed at once, by the time that this node takes it to be; it only waits for the session's own writes.

Invariants: a session waits here with at most one run of reads, and is blocked meanwhile; a round is asked for only
after the reads in it have come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from redraft.ids import NO_NODE, Index, NodeId
from redraft.node.peers import ReadIndex
from redraft.node.permission import Permission
from redraft.node.session import Blocked, Session
from redraft.raft.messages import AnyMessage, Append, Heartbeat
from redraft.raft.ready import ReadState

if TYPE_CHECKING:
    from redraft.node.node import Node

PATIENCE_TICKS = 3
"""Raft ticks after which waiting reads are passed on."""


class Round:
    """Reads that wait for one index."""

    __slots__ = ("index", "leader", "number", "reads", "ticks", "time_ms")

    def __init__(self, number: int, reads: list[tuple[Session, list[list[bytes]]]]) -> None:
        self.number = number
        self.reads = reads
        self.leader = NO_NODE
        """Who was asked."""
        self.index: Index | None = None
        """What must be applied first; None until the leader has said it."""
        self.time_ms: int | None = None
        """The time to read at; None for this node's own."""
        self.ticks = 0


class Reads:
    """The reads that wait at one node, and the read indexes that others ask it for."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._gathered: list[tuple[Session, list[list[bytes]]]] = []
        """Came in since the last question."""
        self._rounds: dict[int, Round] = {}
        self._asked = 0
        """The number of the question that is not answered; 0: none."""
        self._next_number = 1
        self._asking: dict[int, tuple[NodeId, int]] = {}
        """By context: who has asked this node, while it leads, under what number."""
        self._next_context = 1
        self._last_heard_ns = 0
        self._leader_commit = Index(0)

    # Reads of sessions here.

    def may_ask(self) -> bool:
        """Whether there is a leader to be asked."""
        node = self._node
        leader = node.shard.raft.leader_id
        return leader not in (NO_NODE, node.id) and node.peers.linked(leader)

    def take(self, session: Session, commands: list[list[bytes]]) -> None:
        """Execute reads as soon as they may be; the session does nothing else until then."""
        session.blocked = _WAITS_FOR_INDEX
        session.plain = False
        self._gathered.append((session, commands))

    def ask(self) -> None:
        """Ask the leader about what came in. Called before the tick's frames leave."""
        if not self._gathered or self._asked:
            return
        gathered, self._gathered = self._gathered, []
        if not self.may_ask():
            self._pass_on(gathered)
            return
        asked = self._new_round(gathered)
        asked.leader = self._node.shard.raft.leader_id
        self._asked = asked.number
        self._node.peers.ask_read_index(asked.leader, asked.number)

    def _new_round(self, reads: list[tuple[Session, list[list[bytes]]]]) -> Round:
        found = self._rounds[self._next_number] = Round(self._next_number, reads)
        self._next_number += 1
        return found

    def answered(self, answer: ReadIndex) -> None:
        """The leader has answered."""
        if answer.number == self._asked:
            self._asked = 0
        found = self._rounds.get(answer.number)
        if found is None:
            return
        if answer.refused:
            del self._rounds[answer.number]
            self._pass_on(found.reads)
            return
        found.index, found.time_ms = answer.index, answer.time_ms
        self.step()

    def step(self) -> None:
        """More was applied, or may be read: execute what has waited for it."""
        applied = self._node.shard.applied.index
        for found in [each for each in self._rounds.values() if each.index is not None and each.index <= applied]:
            del self._rounds[found.number]
            self._execute(found.reads, found.time_ms)

    def read_now(self, session: Session, commands: list[list[bytes]]) -> None:
        """Execute reads from what is here, once this session's own writes are."""
        if session.write_index <= self._node.shard.applied.index:
            self._execute([(session, commands)], None)
            return
        session.blocked = _WAITS_FOR_INDEX
        session.plain = False
        self._new_round([(session, commands)]).index = Index(session.write_index)

    def at_own_time(self, read: Callable[[], Any]) -> Any:
        """Have something read what is here, by the time that this node takes it to be; its result."""
        shard = self._node.shard
        shard.present.hide_until(self._node.state_ms)
        result = read()
        shard.present.hide_as_the_state()
        return result

    def _execute(self, reads: list[tuple[Session, list[list[bytes]]]], time_ms: int | None) -> None:
        node = self._node
        permission = Permission.STALE if time_ms is None else Permission.INDEX
        resumed: list[tuple[Session, list[list[bytes]]]] = []
        shard = node.shard
        if time_ms is None:
            shard.present.hide_until(node.state_ms)
        else:
            shard.present.set_clock(node.state_ms if node.serves else time_ms)
        for session, commands in reads:
            if session.closed:
                continue
            if not node.serves and self._find_due(session, commands):
                self._node.forwarding.pass_on(session, commands, writes=False)
                continue
            waited, session.blocked = session.blocked is not None, None
            session.refresh_plain()
            node.outgoing[session] = None
            later = list(session.backlog)
            session.backlog.clear()
            node.turns.begin()
            node.router.route(session, commands, None, permission)
            if waited:  # else whoever is looking at what it has sent goes on
                resumed.append((session, later))
        if time_ms is None:
            shard.present.hide_as_the_state()
        for session, later in resumed:
            session.backlog.extend(later)
            node.router.resume(session)

    def _find_due(self, session: Session, commands: list[list[bytes]]) -> bool:
        node = self._node
        return any(node.shard.present.finds_due(node.table.lookup(argv), [argv], session.database) for argv in commands)

    def _pass_on(self, reads: list[tuple[Session, list[list[bytes]]]]) -> None:
        for session, commands in reads:
            if not session.closed:
                self._node.forwarding.pass_on(session, commands, writes=False)

    def tick(self) -> None:
        """A Raft tick: what has waited for too long is passed on."""
        for found in list(self._rounds.values()):
            found.ticks += 1
            if found.ticks >= PATIENCE_TICKS:
                self._drop(found)

    def _drop(self, found: Round) -> None:
        del self._rounds[found.number]
        if found.number == self._asked:
            self._asked = 0
        self._pass_on(found.reads)

    def lost(self, peer: NodeId) -> None:
        """A node leads no more, or a link with it is lost: it answers nothing, and what it has asked is not answered,
        since by the same number it may ask again when it has started anew."""
        for found in [each for each in self._rounds.values() if each.leader == peer and each.index is None]:
            self._drop(found)
        self._asking = {context: asked for context, asked in self._asking.items() if asked[0] != peer}

    # What others ask.

    def new_context(self) -> int:
        """A number that no other read index was asked for by."""
        self._next_context += 1
        return self._next_context

    def asked(self, sender: NodeId, number: int) -> None:
        """A node asks for a read index."""
        node = self._node
        if node.serves:
            self._answer(sender, number, node.shard.raft.commit_index)
        elif node.shard.raft.leader is not None:
            context = self.new_context()
            self._asking[context] = (sender, number)
            node.shard.raft.read_index([context], node.monotonic_ms())
        else:
            node.peers.send_read_index(sender, ReadIndex(number, refused=True))

    def granted(self, reads: Iterable[ReadState]) -> list[ReadState]:
        """Read indexes have come back to this node, which leads: those that others have not asked for."""
        own = []
        for read in reads:
            if read.context in self._asking:
                self._answer(*self._asking.pop(read.context), read.index)
            else:
                own.append(read)
        return own

    def _answer(self, sender: NodeId, number: int, index: Index) -> None:
        # It can read when it has heard of the commit.
        self._node.shard.raft.tell_commit()
        self._node.shard.present.set_clock(self._node.clocks.now_ms())
        self._node.peers.send_read_index(sender, ReadIndex(number, index, self._node.shard.present.clock_ms))

    def leadership_lost(self) -> None:
        """What others have asked for does not come back any more."""
        for sender, number in self._asking.values():
            self._node.peers.send_read_index(sender, ReadIndex(number, refused=True))
        self._asking.clear()

    # How far behind this node is.

    def heard(self, message: AnyMessage) -> None:
        """A message of the group has come; the leader's tell how far it is."""
        if isinstance(message, Append | Heartbeat) and message.sender == self._node.shard.raft.leader_id:
            self._last_heard_ns = self._node.clock.monotonic_ns()
            commit = message.commit if isinstance(message, Append) else message.whole_commit
            self._leader_commit = max(self._leader_commit, commit)

    def lag_entries(self) -> int:
        """Committed entries that are not applied here, as far as the leader has told."""
        return max(0, self._leader_commit - self._node.shard.applied.index)

    def lag_ms(self) -> int:
        """How long ago the leader was heard of; 0 where this node leads, -1 where it never was."""
        if self._node.shard.raft.leader is not None:
            return 0
        if not self._last_heard_ns:
            return -1
        return (self._node.clock.monotonic_ns() - self._last_heard_ns) // 1_000_000

    def check(self) -> None:
        """Assert the invariants."""
        waiting = [session for found in self._rounds.values() for session, _ in found.reads]
        waiting += [session for session, _ in self._gathered]
        assert len(waiting) == len(set(waiting))
        assert all(session.blocked is not None for session in waiting if not session.closed)
        assert not self._asked or self._asked in self._rounds


_WAITS_FOR_INDEX = Blocked("leader")
