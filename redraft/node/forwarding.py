"""Commands that another node must execute: passing them on, and what becomes of them when it is lost.

Theory. Any node takes any command (design section 9). A node that does not lead gathers what a client sends in a row,
sends it to the leader as one request, and looks at nothing more of that client until the answer is there: so replies
stay in order whatever the client mixes, and one client's pipeline costs one message each way. The session stays where
the client is (its protocol, MULTI's queue, its name), and so do its commands that concern it or its node, also those
of a transaction (see `split`); the leader keeps a *guest* for it (see `guests`).

What is lost. A request is sent once. If the link or the leader is lost before the answer, a request with writes is
answered with an error that says that the outcome is unknown, and is never sent again; one of reads only is. A leader
that is none any more refuses a request before it executes anything of it, and then it is sent to the next. A command
that may wait is a request of its own, under a name that this node draws: what became of it is read in the log (see
`blocking`).

A node that waits for a leader, for its own lease or for its successor holds requests back, for `HOLD_MS` at most: then
CLUSTERDOWN. But while it leads itself it waits as long as it leads, and for a leader whose pulse excuses it
(`liveness`) as long as that does.

Invariants: a session has at most one request, and is blocked while it has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redraft.commands import errors
from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.ids import NO_NODE, NodeId, Term
from redraft.node.blocking import TOKEN_BITS
from redraft.node.context import NO_REPLY
from redraft.node.passed import Passed
from redraft.node.peers import Answer, FrameError, Interrupt, Request
from redraft.node.permission import Permission
from redraft.node.session import Blocked, ReplyMode, Session
from redraft.node.split import Split
from redraft.raft.ready import ReadState
from redraft.resp.encoder import encode
from redraft.resp.reply import NIL_ARRAY
from redraft.shard.entry import pack
from redraft.shard.shard import UNKNOWN_OUTCOME

if TYPE_CHECKING:
    from redraft.node.node import Node

HOLD_MS = 5000
"""How long a client waits for a leader."""
LAST_WORD_MS = 500
"""How long a node that leads no more may take to say what has become of a write."""
WAITS = frozenset({"wait", "waitaof"})
"""Those among them that may wait, and take nothing meanwhile."""
_NO_ARRAY = (encode(NIL_ARRAY, 2), encode(NIL_ARRAY, 3))
NO_LEADER = "CLUSTERDOWN no leader was found in time: the command was not executed"


class Forwarding:
    """Requests to other nodes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._passed: dict[int, Passed] = {}
        """By the session's id."""
        self._held: dict[int, Passed] = {}
        """Those that nobody has yet."""
        self._next_number = 1
        self._granted: deque[ReadState] = deque()
        """Read indexes that came back, and are not applied yet."""
        self._known: dict[int, NodeId] = {}
        """Sessions that have a guest, and where."""

    def pass_on(
        self,
        session: Session,
        commands: list[list[bytes]],
        *,
        writes: bool,
        waits: bool = False,
        watches: bool = False,
        begins_watch: bool = False,
        packed: bytes | None = None,
    ) -> None:
        """Have the leader execute commands; the session does nothing else until they are answered. See `Passed`.
        They leave with the tick: nothing is answered before whoever passes them on is done with the session."""
        passed = Passed(session, commands)
        passed.writes, passed.waits, passed.watches = writes, waits, watches
        passed.begins_watch, passed.packed = begins_watch, packed
        self._begin(passed)

    def pass_on_transaction(self, session: Session, split: Split, *, watches: bool) -> None:
        """As `pass_on`, what of a transaction is the leader's to execute."""
        passed = Passed(session, split.commands)
        passed.split, passed.watches = split, watches
        passed.writes = any(command.kind is Kind.DATA_WRITE for command, _ in split.queued)
        self._begin(passed)

    def _begin(self, passed: Passed) -> None:
        session = passed.session
        passed.deadline_ns = self._node.clock.monotonic_ns() + HOLD_MS * 1_000_000
        if passed.waits and passed.writes:
            passed.token = self._node.random.getrandbits(TOKEN_BITS) | 1
            self._node.blocking.passed_on(passed.token)
        self._passed[session.id] = passed
        blocked = Blocked("leader", on_cancel=lambda: self._forget(session))
        if passed.waits:
            blocked.on_timeout = lambda: self._interrupt(passed, by_error=False)
            blocked.on_error = lambda: self._interrupt(passed, by_error=True)
        self._node.block(session, blocked)
        self._hold(passed)

    def _hold(self, passed: Passed) -> None:
        passed.to = NO_NODE
        passed.round = passed.last_word_ns = 0
        self._held[passed.session.id] = passed

    def tick(self) -> None:
        """A Raft tick: what was held back for too long is given up, and so is what is not answered after all."""
        node = self._node
        now_ns = node.clock.monotonic_ns()
        if node.shard.raft.leader is None and not node.liveness.excuses(node.shard.raft.leader_id):
            for passed in [each for each in self._held.values() if each.deadline_ns <= now_ns]:
                self._fail(passed, NO_LEADER)
        for passed in [each for each in self._passed.values() if 0 < each.last_word_ns <= now_ns]:
            self._fail(passed, UNKNOWN_OUTCOME)

    def step(self) -> None:
        """Send what is held back to whoever leads now, or execute it here."""
        node = self._node
        if not self._held:
            return
        leading = node.shard.raft.leader
        if leading is not None and node.leadership.permission() is None:
            if leading.transferee == NO_NODE:
                self._ask_majority()
            return
        leader, term = node.shard.raft.leader_id, node.shard.raft.term
        for passed in list(self._held.values()):
            if self._held.get(passed.session.id) is not passed:
                continue
            if node.redirect.in_force and self._redirect(passed):
                continue
            if self._relies_on_what_is_lost(passed, leader):
                self._finish(passed, encode(NIL_ARRAY, passed.session.protocol))
            elif (permission := node.leadership.permission()) is not None:
                self._execute_here(passed, permission)
            elif passed.refused_by != (leader, term) and not passed.session.is_guest and self._is_reached(leader):
                self._send(passed, leader, term)

    def _relies_on_what_is_lost(self, passed: Passed, leader: NodeId) -> bool:
        """Whether a transaction's keys were watched by one that leads no more: this node, or another."""
        if passed.watches:
            return self._known.get(passed.session.id) != leader
        return passed.split is not None and passed.session.watch_dirty

    def _is_reached(self, leader: NodeId) -> bool:
        return leader not in (NO_NODE, self._node.id) and self._node.peers.linked(leader)

    def _redirect(self, passed: Passed) -> bool:
        """With `redirect moved`, send a client to a leader that has been found meanwhile; whether so."""
        node, session = self._node, passed.session
        moved = [
            error
            for argv in passed.commands
            if (error := node.redirect.maybe_moved(session, node.table.lookup(argv), argv)) is not None
        ]
        if not moved:
            return False
        if passed.split is not None:
            self._finish(passed, encode(moved[0], session.protocol))
            return True
        self._end(passed)
        session.blocked = None
        session.refresh_plain()
        later = list(session.backlog)
        session.backlog.clear()
        node.outgoing[session] = None
        node.router.route(session, passed.commands + later, None, node.leadership.permission())
        node.router.resume(session)
        return True

    def _ask_majority(self) -> None:
        """This node leads and has no lease: what is held is executed once a majority says that it still leads."""
        asking = [passed for passed in self._held.values() if not passed.round]
        if asking:
            context = self._node.reads.new_context()
            for passed in asking:
                passed.round = context
            self._node.shard.raft.read_index([context], self._node.monotonic_ms())

    def granted(self, reads: Iterable[ReadState]) -> None:
        """Read indexes have come back, or more was applied: execute what waited for them."""
        node = self._node
        self._granted.extend(reads)
        while self._granted and self._granted[0].index <= node.shard.applied.index:
            context = self._granted.popleft().context
            for passed in [each for each in self._held.values() if each.round == context]:
                leading = node.shard.raft.leader
                if leading is None or leading.transferee != NO_NODE:
                    # One of those before it has this node hand over: the successor gets it.
                    passed.round = 0
                    continue
                if self._relies_on_what_is_lost(passed, node.id):
                    self._finish(passed, encode(NIL_ARRAY, passed.session.protocol))
                    continue
                self._execute_here(passed, Permission.INDEX)

    def leadership_lost(self) -> None:
        """Read indexes that were asked for do not come any more."""
        self._granted.clear()
        for passed in self._held.values():
            passed.round = 0

    def _send(self, passed: Passed, leader: NodeId, term: Term) -> None:
        session = passed.session
        passed.to = leader
        passed.term = term
        passed.number = self._next_number
        self._next_number += 1
        del self._held[session.id]
        self._known[session.id] = leader
        if passed.begins_watch:
            session.watches_remotely = True
        packed = passed.packed or b"".join([pack(tuple(argv)) for argv in passed.commands])
        self._node.peers.send_request(
            leader,
            Request(
                session.id, passed.number, session.database,
                session.protocol if passed.split is None else passed.split.protocol, packed, passed.split is not None,
                session.write_index, passed.token, term if passed.token or passed.watches else 0,
            ),
        )  # fmt: skip

    def _execute_here(self, passed: Passed, permission: Permission) -> None:
        """Execute a request here; what the session has sent behind it came later, and needs a permission of its own."""
        session = passed.session
        self._end(passed)
        node = self._node
        session.blocked = None
        session.refresh_plain()
        if session.watches_remotely:
            # What it watches at another node, this one does not see.
            session.watch_dirty = True
        if passed.split is not None:
            session.multi = passed.split.queued
            node.router.answer_with(session, node.router.execute(session, permission))
            node.unblock(session, NO_REPLY)
        else:
            later = list(session.backlog)
            session.backlog.clear()
            node.outgoing[session] = None
            node.turns.begin()
            node.router.route(session, passed.commands, None, permission)
            session.backlog.extend(later)
            node.router.resume(session)

    def _end(self, passed: Passed) -> Any:
        """A request is over; how its wait has ended by the log, or NO_REPLY."""
        self._passed.pop(passed.session.id, None)
        self._held.pop(passed.session.id, None)
        return self._node.blocking.not_passed_on(passed.token) if passed.token else NO_REPLY

    def _forget(self, session: Session) -> None:
        """A client is gone while it waits."""
        passed = self._passed.get(session.id)
        if passed is not None:
            self._end(passed)

    def forget_guest(self, session: Session) -> None:
        """A client is gone, or watches nothing any more: so is what the leader keeps for it."""
        leader = self._known.pop(session.id, NO_NODE)
        if leader != NO_NODE:
            self._node.peers.send_request(leader, Request(session.id, 0, 0, 2, b""))

    def is_held(self, session: Session) -> bool:
        """Whether a session's commands wait here for somebody who leads."""
        return session.id in self._held

    def waits_elsewhere(self, session: Session) -> bool:
        """Whether the leader has a command of this session that waits, and may bring it something."""
        passed = self._passed.get(session.id)
        return passed is not None and passed.waits and passed.to != NO_NODE

    def _interrupt(self, passed: Passed, *, by_error: bool) -> None:
        """CLIENT UNBLOCK: where nobody has the command yet, it ends here; else the leader ends it, and says how."""
        if passed.to != NO_NODE:
            self._node.peers.send_interrupt(passed.to, Interrupt(passed.session.id, passed.number, by_error))
            return
        self._end(passed)
        self._node.unblock(passed.session, CommandError(errors.UNBLOCKED) if by_error else NIL_ARRAY)

    def answered(self, sender: NodeId, answer: Answer) -> None:
        """The leader has answered a request."""
        passed = self._passed.get(answer.session)
        if passed is None or passed.to != sender or passed.number != answer.number:
            return
        if answer.refused:
            passed.refused_by = (sender, passed.term)
            if passed.watches:
                self._finish(passed, encode(NIL_ARRAY, passed.session.protocol))
            else:
                self._hold(passed)
            return
        passed.session.write_index = max(passed.session.write_index, answer.write_index)
        if passed.split is None:
            self._finish(passed, answer.data)
        else:
            self._finish_transaction(passed, passed.split, answer.data)

    def _finish_transaction(self, passed: Passed, split: Split, data: bytes) -> None:
        """The leader has executed its share of a transaction, and this node does now; or it has refused it."""
        session = passed.session
        if not split.is_done(data):
            self._finish(passed, encode(NIL_ARRAY, session.protocol) if data in _NO_ARRAY else data)
            return
        replies = self._node.router.own_replies(session, split.own)
        try:
            data = split.whole(data, [encode(reply, session.protocol) for reply in replies])
        except ValueError as error:
            raise FrameError(f"the answer to a transaction that is none: {error}") from error
        self._finish(passed, data)

    def _finish(self, passed: Passed, data: bytes) -> None:
        session = passed.session
        self._end(passed)
        if passed.split is not None:
            self._node.watches.unwatch(session)
        if session.reply_mode is ReplyMode.ON:
            session.answer_encoded(data)
        elif session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.ON
        self._node.unblock(session, NO_REPLY)

    def _fail(self, passed: Passed, text: str) -> None:
        count = 1 if passed.split is not None else len(passed.commands)
        self._finish(passed, encode(CommandError(text), passed.session.protocol) * count)

    def lost(self, peer: NodeId) -> None:
        """A link with a node is lost: what it has of ours may or may not have been executed."""
        self._leave(peer, [each for each in self._passed.values() if each.to == peer])

    def leads_no_more(self, peer: NodeId) -> None:
        """Another node leads, or none. The one that did can still tell what has become of writes, and may have waited
        itself for its successor; for a while."""
        late_ns = self._node.clock.monotonic_ns() + LAST_WORD_MS * 1_000_000
        passed = [each for each in self._passed.values() if each.to == peer]
        for each in passed:
            if each.writes and not each.token:
                each.last_word_ns = late_ns
        self._leave(peer, [each for each in passed if not each.last_word_ns])

    def _leave(self, peer: NodeId, lost: list[Passed]) -> None:
        for passed in lost:
            if passed.token:
                self._node.blocking.follow_log(passed.session, passed.token, passed.term, self._end(passed))
            elif passed.writes:
                self._fail(passed, UNKNOWN_OUTCOME)
            elif passed.waits:
                self._fail(passed, errors.UNBLOCKED_BY_CHANGE)
            elif passed.watches:
                self._finish(passed, encode(NIL_ARRAY, passed.session.protocol))
            else:
                self._hold(passed)
        for number in [number for number, leader in self._known.items() if leader == peer]:
            session = self._node.sessions[number]
            if session.watches_remotely:
                session.watch_dirty = True
            if number in self._passed and self._passed[number].to == peer:
                del self._known[number]
            else:
                self.forget_guest(session)
        self.step()

    def check(self) -> None:
        """Assert the invariants."""
        assert self._held.keys() <= self._passed.keys()
        assert self._known.keys() <= self._node.sessions.keys()
        for passed in self._passed.values():
            assert passed.session.blocked is not None
            assert passed.session.id not in self._held or passed.to == NO_NODE
            assert not passed.waits or len(passed.commands) == 1


def may_wait(command: Command, argv: list[bytes]) -> bool:
    """Whether this call may wait for something else than its turn."""
    return command.blocks(argv) or command.name in WAITS
