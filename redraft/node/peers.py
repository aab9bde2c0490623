"""What this node says to the others: one frame a peer a tick, with the messages of all groups and what is passed on.

A frame is msgpack. It is decoded strictly: whatever is not a frame is a broken peer, and its link is cut. Nothing waits
for a peer that is not there: Raft sends again what matters, and what clients are owed is answered by `forwarding`.

Invariant: a peer without a link has nothing queued.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from redraft.cluster.config_group import Proposal
from redraft.errors import RedraftError
from redraft.ids import GroupId, NodeId
from redraft.raft.messages import AnyMessage

MOST_QUEUED = 64 << 20
"""Bytes of commands and replies queued for one peer; a link that holds more is cut, and begins anew."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """Commands that a node passes on to the leader for one of its sessions; it sends the next when it has the reply."""

    session: int
    number: int
    """Counts the session's requests, so that a late reply is known as such."""
    database: int
    protocol: int
    commands: list[list[bytes]]
    transaction: bool = False
    """The commands are those of an EXEC, whose reply alone is wanted."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The replies to a request, encoded for its client."""

    session: int
    number: int
    data: bytes
    refused: bool = False
    """Nothing was executed: the receiver does not lead."""


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What one node says to another in a tick."""

    raft: list[tuple[int, AnyMessage]] = []
    requests: list[Request] = []
    answers: list[Answer] = []
    closed: list[int] = []
    """Sessions of the sender that are gone."""
    proposals: list[Proposal] = []
    """Changes of the config table that the sender asks for."""

    def __bool__(self) -> bool:
        return bool(self.raft or self.requests or self.answers or self.closed or self.proposals)


class FrameError(RedraftError):
    """A peer sent what is no frame."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def decode_frame(data: bytes | memoryview) -> Frame:
    """Raises FrameError."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise FrameError(f"a frame that cannot be read: {error}") from error


class Peers:
    """The queues to the other nodes, as far as there are links."""

    def __init__(self) -> None:
        self._queues: dict[NodeId, Frame] = {}

    def linked(self, peer: NodeId) -> bool:
        """Whether there is a link to a node."""
        return peer in self._queues

    def open(self, peer: NodeId) -> None:
        """There is a link to a node, and what was queued for an earlier one is gone."""
        self._queues[peer] = Frame([], [], [], [], [])

    def close(self, peer: NodeId) -> None:
        """The link has ended."""
        self._queues.pop(peer, None)

    def send_raft(self, group: GroupId, messages: Iterable[AnyMessage]) -> None:
        """Send messages of a group, each to where it belongs; those without a link are lost."""
        for message in messages:
            queue = self._queues.get(message.to)
            if queue is not None:
                queue.raft.append((group, message))

    def send_request(self, peer: NodeId, request: Request) -> bool:
        """Pass commands on; False without a link."""
        queue = self._queues.get(peer)
        if queue is None:
            return False
        queue.requests.append(request)
        return True

    def send_answer(self, peer: NodeId, answer: Answer) -> None:
        """Send replies back; they are lost without a link, and then the other end knows it."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.answers.append(answer)

    def send_closed(self, peer: NodeId, session: int) -> None:
        """A session that has passed commands on is gone."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.closed.append(session)

    def send_proposal(self, peer: NodeId, proposal: Proposal) -> None:
        """Ask the config group's leader for a change; it is lost without a link, and asked for again."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.proposals.append(proposal)

    def take_frames(self) -> list[tuple[NodeId, bytes]]:
        """The frames of this tick, encoded."""
        frames = []
        for peer, frame in self._queues.items():
            if frame:
                frames.append((peer, _encode(frame)))
                self._queues[peer] = Frame([], [], [], [], [])
        return frames
