"""What other nodes say: their links to here, and what becomes of each frame that comes over them.

A frame is taken apart in an order that matters: Raft's messages first, so that what is passed on in the same frame
finds whoever leads now. A node that sends something else than frames is not obeyed but cut off; it may dial again.

Invariant: a node has one link to here that counts, its newest.

What this leaves out: how a link comes to be trusted (`links`), and what this node says itself (`peers`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redraft.ids import NodeId
from redraft.node.peers import Frame, FrameError
from redraft.raft.errors import DivergedError
from redraft.raft.messages import AnyMessage, InstallSnapshot, SnapshotMeta

if TYPE_CHECKING:
    from redraft.node.links import IncomingLink, Link, PulseLink
    from redraft.node.node import Node
    from redraft.node.session import Session
    from redraft.raft.node import RaftNode

log = logging.getLogger("redraft.node")


class Incoming:
    """The links from other nodes to one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._sessions: dict[NodeId, Session] = {}
        """That of the newest link of each node."""
        self._links: dict[NodeId, IncomingLink] = {}
        """That link."""
        self._pulses: dict[NodeId, Session] = {}
        """That of its pulse."""

    def accept(self, session: Session, link: IncomingLink) -> None:
        """Another node has proved who it is: frames come from now on. An earlier link of it is of no use any more."""
        self.cut([link.peer])
        self._node.clocks.forget(link.peer)
        session.link = self._links[link.peer] = link
        self._sessions[link.peer] = session
        log.info("node %d is here", link.peer)

    def accept_pulse(self, session: Session, link: PulseLink) -> None:
        """Another node's pulse comes from now on, and from no earlier connection."""
        earlier = self._pulses.get(link.peer)
        if earlier is not None:
            earlier.killed = True
            self._node.outgoing[earlier] = None
        session.link = link
        self._pulses[link.peer] = session

    def pulses_from(self) -> list[NodeId]:
        """The nodes whose pulse has a connection to here."""
        return list(self._pulses)

    def linked_sessions(self) -> list[Session]:
        """Those of the links, and of the pulses."""
        return [*self._sessions.values(), *self._pulses.values()]

    def linked_from(self) -> list[NodeId]:
        """The nodes that have a link to here."""
        return list(self._sessions)

    def link_of(self, peer: NodeId) -> IncomingLink | None:
        """The link of a node to here, if it has one."""
        return self._links.get(peer)

    def cut(self, peers: list[NodeId]) -> None:
        """Listen to some nodes no more."""
        for peer in peers:
            session = self._sessions.get(peer)
            if session is not None and session.link is not None:
                session.link.close()
                session.killed = True
                self._node.outgoing[session] = None

    def pulse_lost(self, link: PulseLink) -> None:
        """A node's pulse has stopped: its silence counts from now on."""
        session = self._pulses.get(link.peer)
        if session is not None and session.link is link:
            del self._pulses[link.peer]

    def lost(self, link: IncomingLink) -> None:
        """No more comes over a link."""
        session = self._sessions.get(link.peer)
        if session is not None and session.link is link:
            del self._sessions[link.peer]
            del self._links[link.peer]
            self.hears_no_more(link.peer)
            self._node.door.lost(link.peer)

    def hears_no_more(self, peer: NodeId) -> None:
        """What a node has sent, answers among it, may not arrive."""
        self._node.guests.link_lost(peer)
        self._node.forwarding.lost(peer)
        self._node.reads.lost(peer)

    def receive(self, session: Session, link: Link, data: bytes) -> None:
        """Bytes have come over a link; one that sends what is no frame is cut, and told of."""
        try:
            link.receive(data)
        except FrameError as error:
            log.warning("the link of node %d is cut: %s", link.peer, error)
            session.killed = True
            self._node.outgoing[session] = None

    def receive_frame(self, sender: NodeId, frame: Frame) -> None:
        """A frame has come over a link on which `sender` has proved who it is. Raises FrameError, DivergedError."""
        node = self._node
        if frame.clocks is not None:
            node.clocks.heard(sender, frame.clocks)
        node.liveness.spoke(sender)
        if not node.founding.under_way:
            for standing in frame.standings:
                node.memory.received(sender, standing)
        for group, message in frame.raft:
            if message.sender != sender or message.to != node.id:
                raise FrameError("a message that is not from here, or not for this node")
            if not node.founding.under_way:
                self._step_group(group, message)
        node.door.heard(sender, frame)
        for proposal in frame.proposals:
            node.changes.received(proposal)
        node.leadership.follow()
        for request in frame.requests:
            node.guests.requested(sender, request)
        for interrupt in frame.interrupts:
            node.guests.interrupted(sender, interrupt)
        for answer in frame.answers:
            node.forwarding.answered(sender, answer)
        for number in frame.asks:
            node.reads.asked(sender, number)
        for read_index in frame.read_indexes:
            node.reads.answered(read_index)

    def _step_group(self, group: int, message: AnyMessage) -> None:
        node = self._node
        if group == node.shard.group:
            if isinstance(message, InstallSnapshot) and not self._can_install(message.meta):
                return
            _step(node.shard.raft, f"shard {group}", message)
            node.reads.heard(message)
        elif group == node.config.group and not isinstance(message, InstallSnapshot):
            _step(node.config.raft, "the config group", message)
        else:
            raise FrameError(f"a message of group {group}, which is not here")

    def _can_install(self, meta: SnapshotMeta) -> bool:
        """Whether a snapshot is here (else it was lost with an earlier life of this node), and nobody uses the image
        that it will replace. The leader says again what it is not told to have arrived: also when this node has said
        so, and that was lost; then Raft says it once more, and installs nothing."""
        node = self._node
        if meta.index <= node.shard.raft.commit_index:
            return True
        return node.prepared_snapshot == meta.index and not node.flusher.uses_image()


def _step(raft: RaftNode, group: str, message: AnyMessage) -> None:
    """Hand a message to a group's member. Raises DivergedError, with the group's name."""
    try:
        raft.step(message)
    except DivergedError as error:
        raise DivergedError(f"{group}: {error}") from error
