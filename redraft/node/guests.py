"""Sessions of other nodes: this node leads, and executes what they pass on (see `forwarding`).

Theory. The session stays where its client is; here is a *guest* for it, which has what only the leader can know: its
watched keys, its blocked command, its place in a batch. A guest is no client: no list of clients shows it and none
counts it. It lives until its session is gone, its node's link is lost, or this node leads no more.

A command that may wait is executed only in the term that its node knows, since in a later one the waits of the earlier
have been ended (see `blocking`).

Invariants: a guest has at most one request; nothing is executed that could not be answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.commands import errors
from redraft.commands.table import Command
from redraft.errors import CommandError
from redraft.ids import NodeId
from redraft.node.blocking import end_early
from redraft.node.links import MOST_FRAME_BYTES
from redraft.node.peers import Answer, FrameError, Interrupt, Request
from redraft.node.session import ReplyMode, Session
from redraft.node.split import goes_to_leader
from redraft.resp.encoder import encode
from redraft.resp.parser import Limits, RequestParser

if TYPE_CHECKING:
    from redraft.node.node import Node


MOST_ANSWER_BYTES = 1 << 30
"""The replies to one request, which travel in one frame."""
TOO_LARGE = "ERR the replies are too large to be passed on to this node: ask the leader, or for less at a time"


_NO_LIMITS = Limits(max_bulk_bytes=MOST_FRAME_BYTES, query_buffer_limit=MOST_FRAME_BYTES)
"""What another node has let in is let in: its settings may differ from these here."""


def _too_large(request: Request) -> bytes:
    count = 1 if request.transaction else len(RequestParser(_NO_LIMITS).feed(request.commands))
    return encode(CommandError(TOO_LARGE), request.protocol) * count


class Guests:
    """The guests of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._guests: dict[tuple[NodeId, int], Session] = {}
        self._asked: dict[Session, tuple[NodeId, Request]] = {}
        """Guests whose request is not answered."""
        self._last_id = 0
        """Guests have negative ids, since clients never have."""

    def __len__(self) -> int:
        return len(self._guests)

    def requested(self, sender: NodeId, request: Request) -> None:
        """A node passes commands on. Raises FrameError."""
        node = self._node
        if not request.commands:
            self._close(sender, request.session)
            return
        if not node.peers.linked(sender):
            return
        raft = node.shard.raft
        if raft.leader is None or (request.term and request.term != raft.term):
            node.peers.send_answer(sender, Answer(request.session, request.number, b"", refused=True))
            return
        if request.database < 0 or request.protocol not in (2, 3):
            raise FrameError("a request of a session that cannot be")
        guest = self._guests.get((sender, request.session))
        if guest in self._asked:
            # Its node gave up on what it asked before (a broken network had held that back): so its answer is nobody's.
            self._close(sender, request.session)
        guest = self._guest(sender, request.session)
        commands = guest.parser.feed(request.commands)
        packed, guest.parser.packed = guest.parser.packed, None
        if guest.parser.error is not None or not guest.parser.idle() or not commands:
            raise FrameError("a request that does not hold commands")
        guest.database = request.database
        guest.protocol = request.protocol
        guest.write_index = max(guest.write_index, request.write_index)
        guest.wait_token = request.token
        guest.reply_mode = ReplyMode.ON
        self._asked[guest] = (sender, request)
        node.outgoing[guest] = None
        if request.transaction:
            try:
                # The other node may have heard earlier of the level that allows them.
                guest.multi = [(_passed(node.table.lookup_passed(argv)), argv) for argv in commands]
            except CommandError as error:
                node.router.answer(guest, errors.exec_aborted_by(error))
            else:
                node.router.answer_with(guest, node.router.execute(guest, node.leadership.permission()))
        else:
            node.turns.begin()
            node.router.route(guest, commands, packed, node.leadership.permission())

    def _guest(self, sender: NodeId, number: int) -> Session:
        guest = self._guests.get((sender, number))
        if guest is None:
            self._last_id -= 1
            guest = Session(
                self._last_id, f"node-{sender}:{number}", "", RequestParser(_NO_LIMITS), self._node.steady_ms
            )
            guest.is_guest = True
            self._guests[sender, number] = guest
        return guest

    def interrupted(self, sender: NodeId, interrupt: Interrupt) -> None:
        """The wait of a guest's command shall end early, if it has not ended."""
        guest = self._guests.get((sender, interrupt.session))
        if guest is not None and guest in self._asked and self._asked[guest][1].number == interrupt.number:
            end_early(self._node, guest, by_error=interrupt.by_error)

    def _close(self, sender: NodeId, number: int) -> None:
        """A session of another node is gone."""
        guest = self._guests.pop((sender, number), None)
        if guest is not None:
            self._asked.pop(guest, None)
            self._node.close_session(guest)

    def link_lost(self, sender: NodeId) -> None:
        """No more comes from a node: its sessions are as good as gone."""
        for node, number in [place for place in self._guests if place[0] == sender]:
            self._close(node, number)

    def leadership_lost(self) -> None:
        """This node leads no more. What is answered is sent yet; of the rest the other nodes hear that it has not
        begun, or find out by themselves that they must not wait."""
        for sender, number in list(self._guests):
            guest = self._guests[sender, number]
            asked = self._asked.get(guest)
            if asked is not None and self._is_done(guest):
                continue
            if asked is not None and self._node.forwarding.is_held(guest) and not guest.out:
                self._node.peers.send_answer(sender, Answer(number, asked[1].number, b"", refused=True))
            self._close(sender, number)

    @staticmethod
    def _is_done(guest: Session) -> bool:
        return guest.blocked is None and not guest.segments and not guest.backlog

    def collect_answers(self) -> None:
        """Send what the guests were answered. Called before the tick's replies leave."""
        if not self._guests:
            return
        node = self._node
        for guest in [session for session in node.outgoing if session.is_guest]:
            del node.outgoing[guest]
            if guest in self._asked and self._is_done(guest):
                sender, request = self._asked.pop(guest)
                size = sum(map(len, guest.out))
                data = b"".join(guest.out) if size <= MOST_ANSWER_BYTES else _too_large(request)
                guest.out.clear()
                answer = Answer(request.session, request.number, data, write_index=guest.write_index)
                node.peers.send_answer(sender, answer)

    def check(self) -> None:
        """Assert the invariants."""
        for guest in self._guests.values():
            guest.check()
            assert guest.is_guest
            assert guest in self._asked or not guest.out
        assert all(guest in self._guests.values() for guest in self._asked)


def _passed(command: Command) -> Command:
    """A command of a transaction, if it may act here. An older version passes on those of its session too; that they do
    nothing here does no harm, but those that concern a node would be meant for its own. Raises CommandError."""
    if goes_to_leader(command) or "admin" not in command.flags:
        return command
    raise CommandError(f"ERR '{command.name}' concerns the node that was asked, which is to run a newer version first")
