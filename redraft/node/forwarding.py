"""Commands that another node must execute: passing them on, and executing what others pass on.

Theory. Any node takes any command (design section 9). A node that does not lead gathers what a client sends in a row,
sends it to the leader as one request, and looks at nothing more of that client until the answer is there: so replies
stay in order whatever the client mixes, and one client's pipeline costs one message each way. The session stays where
the client is (its protocol, MULTI's queue, its name); the leader keeps a *guest* for it, which has what only the leader
can know: watched keys and a blocked command.

What is lost. A request is sent once. If the link or the leader is lost before the answer, a request with writes is
answered with an error that says that the outcome is unknown, and is never sent again; one of reads only is. A leader
that is none any more refuses a request before it executes anything of it, and then it is sent to the next.

A node that waits for a leader, or for its own lease, holds requests back, for `HOLD_MS` at most: then CLUSTERDOWN.

Invariants: a session has at most one request, and is blocked while it has one; a guest has at most one request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.ids import NO_NODE, NodeId, Term
from redraft.node.context import NO_REPLY
from redraft.node.peers import Answer, Request
from redraft.node.session import Blocked, ReplyMode, Session
from redraft.raft.ready import ReadState
from redraft.resp.encoder import encode
from redraft.shard.shard import UNKNOWN_OUTCOME

if TYPE_CHECKING:
    from redraft.node.node import Node

HOLD_MS = 5000
"""How long a client waits for a leader."""
LEADERS_BUSINESS = frozenset(
    {
        "watch", "unwatch",
        "redraft|members", "redraft|promote", "redraft|transfer",
    }
)  # fmt: skip
"""Session commands that the leader executes."""
NO_LEADER = "CLUSTERDOWN no leader was found in time: the command was not executed"


class Passed:
    """A request of one session here, and where it is."""

    __slots__ = (
        "commands",
        "deadline_ns",
        "has_writes",
        "number",
        "refused_by",
        "round",
        "session",
        "to",
        "transaction",
    )

    def __init__(self, session: Session, commands: list[list[bytes]], *, has_writes: bool, transaction: bool) -> None:
        self.session = session
        self.commands = commands
        self.has_writes = has_writes
        self.transaction = transaction
        self.number = 0
        self.to = NO_NODE
        """Who has it; nobody yet: it is held back."""
        self.refused_by = (NO_NODE, Term(0))
        """Who did not lead in which term, and will not in that one."""
        self.round = 0
        """The read index, asked for here, that allows it to be executed."""
        self.deadline_ns = 0


class Forwarding:
    """Requests to other nodes and from them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._passed: dict[int, Passed] = {}
        """By the session's id."""
        self._held: dict[int, Passed] = {}
        """Those that nobody has yet."""
        self._guests: dict[tuple[NodeId, int], Session] = {}
        self._asked: dict[Session, tuple[NodeId, Request]] = {}
        """Guests whose request is not answered."""
        self._next_number = 1
        self._next_round = 1
        self._granted: deque[ReadState] = deque()
        """Read indexes that came back, and are not applied yet."""
        self._known: dict[int, NodeId] = {}
        """Sessions that have a guest, and where."""

    # Sessions here.

    def pass_on(
        self, session: Session, commands: list[list[bytes]], *, has_writes: bool, transaction: bool = False
    ) -> None:
        """Have the leader execute commands; the session does nothing else until they are answered."""
        passed = Passed(session, commands, has_writes=has_writes, transaction=transaction)
        passed.deadline_ns = self._node.clock.monotonic_ns() + HOLD_MS * 1_000_000
        self._passed[session.id] = passed
        self._node.block(session, Blocked("leader", on_cancel=lambda: self._forget(session)))
        self._hold(passed)
        self.step()

    def _hold(self, passed: Passed) -> None:
        passed.to = NO_NODE
        passed.round = 0
        self._held[passed.session.id] = passed
        self._node.timers.at(passed.deadline_ns, lambda: self._give_up(passed))

    def _give_up(self, passed: Passed) -> None:
        if self._held.get(passed.session.id) is passed:
            self._fail(passed, NO_LEADER)

    def step(self) -> None:
        """Send what is held back to whoever leads now, or execute it here."""
        node = self._node
        if not self._held:
            return
        if node.shard.raft.leader is not None and not node.serves:
            self._ask_majority()
            return
        leader, term = node.shard.raft.leader_id, node.shard.raft.term
        for passed in list(self._held.values()):
            if node.serves:
                self._execute_here(passed)
            elif leader not in (NO_NODE, node.id) and node.peers.linked(leader) and passed.refused_by != (leader, term):
                self._send(passed, leader)

    def _ask_majority(self) -> None:
        """This node leads and has no lease: what is held is executed once a majority says that it still leads."""
        asking = [passed for passed in self._held.values() if not passed.round]
        if asking:
            for passed in asking:
                passed.round = self._next_round
            self._node.shard.raft.read_index([self._next_round])
            self._next_round += 1

    def granted(self, reads: Iterable[ReadState]) -> None:
        """Read indexes have come back, or more was applied: execute what waited for them."""
        node = self._node
        self._granted.extend(reads)
        while self._granted and self._granted[0].index <= node.shard.applied.index:
            context = self._granted.popleft().context
            serves, node.serves = node.serves, True
            for passed in [each for each in self._held.values() if each.round == context]:
                self._execute_here(passed)
            node.serves = serves

    def leadership_lost(self) -> None:
        """Read indexes that were asked for do not come any more."""
        self._granted.clear()
        for passed in self._held.values():
            passed.round = 0

    def _send(self, passed: Passed, leader: NodeId) -> None:
        session = passed.session
        passed.to = leader
        passed.number = self._next_number
        self._next_number += 1
        del self._held[session.id]
        self._known[session.id] = leader
        self._node.peers.send_request(
            leader,
            Request(session.id, passed.number, session.database, session.protocol, passed.commands, passed.transaction),
        )

    def _execute_here(self, passed: Passed) -> None:
        session = passed.session
        self._end(passed)
        node = self._node
        session.blocked = None
        session.refresh_plain()
        if passed.transaction:
            session.multi = [(node.table.lookup(argv), argv) for argv in passed.commands]
            node.router.answer_with(session, node.router.execute(session))
            node.unblock(session, NO_REPLY)
        else:
            later = list(session.backlog)
            session.backlog.clear()
            node.outgoing[session] = None
            node.router.route(session, passed.commands + later, None)

    def _end(self, passed: Passed) -> None:
        self._passed.pop(passed.session.id, None)
        self._held.pop(passed.session.id, None)

    def _forget(self, session: Session) -> None:
        """A client is gone while it waits."""
        passed = self._passed.get(session.id)
        if passed is not None:
            self._end(passed)

    def session_closed(self, session: Session) -> None:
        """A client is gone: its guest goes too."""
        leader = self._known.pop(session.id, NO_NODE)
        if leader != NO_NODE:
            self._node.peers.send_closed(leader, session.id)

    def answered(self, sender: NodeId, answer: Answer) -> None:
        """The leader has answered a request."""
        passed = self._passed.get(answer.session)
        if passed is None or passed.to != sender or passed.number != answer.number:
            return
        if answer.refused:
            passed.refused_by = (sender, self._node.shard.raft.term)
            self._hold(passed)
            return
        self._finish(passed, answer.data)

    def _finish(self, passed: Passed, data: bytes) -> None:
        session = passed.session
        self._end(passed)
        if session.reply_mode is ReplyMode.ON:
            session.out.append(data)
        elif session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.ON
        self._node.unblock(session, NO_REPLY)

    def _fail(self, passed: Passed, text: str) -> None:
        count = 1 if passed.transaction else len(passed.commands)
        self._finish(passed, encode(CommandError(text), passed.session.protocol) * count)

    def lost(self, peer: NodeId) -> None:
        """The link to a node is lost, or it leads no more: what it has of ours may or may not have been executed."""
        for passed in [each for each in self._passed.values() if each.to == peer]:
            if passed.has_writes:
                self._fail(passed, UNKNOWN_OUTCOME)
            else:
                self._hold(passed)
        for session in [session for session, leader in self._known.items() if leader == peer]:
            del self._known[session]
            watcher = self._node.sessions.get(session)
            if watcher is not None and watcher.watches_remotely:
                watcher.watch_dirty = True
        self.step()

    # Sessions of others.

    def requested(self, sender: NodeId, request: Request) -> None:
        """A node passes commands on."""
        node = self._node
        if node.loading or node.shard.raft.leader is None:
            node.peers.send_answer(sender, Answer(request.session, request.number, b"", refused=True))
            return
        guest = self._guest(sender, request.session)
        guest.database = request.database
        guest.protocol = request.protocol
        self._asked[guest] = (sender, request)
        if request.transaction:
            guest.multi = [(node.table.lookup(argv), argv) for argv in request.commands]
            node.router.answer_with(guest, node.router.execute(guest))
        else:
            node.router.route(guest, request.commands, None)

    def _guest(self, sender: NodeId, session: int) -> Session:
        guest = self._guests.get((sender, session))
        if guest is None:
            guest = self._guests[sender, session] = self._node.open_session(f"node-{sender}:{session}", "")
            guest.authenticated = True
            guest.refresh_plain()
        return guest

    def closed(self, sender: NodeId, session: int) -> None:
        """A session of another node is gone."""
        guest = self._guests.pop((sender, session), None)
        if guest is not None:
            self._asked.pop(guest, None)
            self._node.close_session(guest)

    def link_lost(self, sender: NodeId) -> None:
        """No more comes from a node: its sessions are as good as gone."""
        for node, session in [place for place in self._guests if place[0] == sender]:
            self.closed(node, session)

    def collect_answers(self) -> None:
        """Send what the guests were answered. Called before the tick's replies leave."""
        if not self._guests:
            return
        node = self._node
        for guest in self._guests.values():
            node.outgoing.pop(guest, None)
        for guest, (sender, request) in list(self._asked.items()):
            if guest.blocked is None and not guest.segments and not guest.backlog:
                del self._asked[guest]
                data = b"".join(guest.out)
                guest.out.clear()
                node.peers.send_answer(sender, Answer(request.session, request.number, data))

    def is_guest(self, session: Session) -> bool:
        """Whether a session's client is at another node."""
        return session in self._asked or session in self._guests.values()

    def check(self) -> None:
        """Assert the invariants."""
        assert self._held.keys() <= self._passed.keys()
        for passed in self._passed.values():
            assert passed.session.blocked is not None
            assert passed.session.id not in self._held or passed.to == NO_NODE


def goes_to_leader(command: Command) -> bool:
    """Whether only the leader can execute it: data, the watching of it, and who the members are."""
    return command.kind is not Kind.SESSION or command.name in LEADERS_BUSINESS
