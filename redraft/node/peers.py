"""What this node says to the others: one frame a peer a tick, with the messages of all groups and what is passed on.

A frame is msgpack. It is decoded strictly: whatever is not a frame is a broken peer, and its link is cut. Nothing waits
for a peer that is not there: Raft sends again what matters, and what clients are owed is answered by `forwarding`.

Invariant: a peer without a link has nothing queued. What a queue holds leaves with the tick; what the link then does
not take is bounded there (`server.links`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec
from msgspec import structs

from redraft.cluster.config_group import Proposal
from redraft.errors import RedraftError
from redraft.ids import GroupId, Index, NodeId
from redraft.node.standing import Standing
from redraft.raft.messages import AnyMessage


class Request(msgspec.Struct, frozen=True, array_like=True):
    """Commands that a node passes on to the leader for one of its sessions; it sends the next when it has the reply.
    Without commands: the session is gone, and so is whatever the leader keeps for it."""

    session: int
    number: int
    """Counts the session's requests, so that a late reply is known as such."""
    database: int
    protocol: int
    commands: bytes
    """RESP arrays, as `entry.pack` makes them: often what the client has sent, and what will stand in the log."""
    transaction: bool = False
    """The commands are those of an EXEC, whose reply alone is wanted."""
    write_index: int = 0
    """Where the session's last write stands in the log."""
    token: int = 0
    """The name of the wait, if this is one command that may wait; and then `term` is the only one to execute it in."""
    term: int = 0


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The replies to a request, encoded for its client."""

    session: int
    number: int
    data: bytes
    refused: bool = False
    """Nothing was executed: the receiver does not lead."""
    write_index: int = 0
    """Where the session's last write stands in the log."""


class Interrupt(msgspec.Struct, frozen=True, array_like=True):
    """End the wait of a request's command early (CLIENT UNBLOCK); the request is answered all the same."""

    session: int
    number: int
    by_error: bool


class ReadIndex(msgspec.Struct, frozen=True, array_like=True):
    """The leader's answer to a node that asks what its reads must wait for."""

    number: int
    """The question's."""
    index: Index = Index(0)
    time_ms: int = 0
    """The leader's clock: who asks for a key that is due by it must ask the leader."""
    refused: bool = False
    """The receiver does not lead."""


Milliseconds = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]


class ClockWord(msgspec.Struct, frozen=True, array_like=True):
    """What the sender's clocks show as the frame leaves; see `node.clocks`."""

    wall_ms: Milliseconds
    steady_ms: Milliseconds
    """The monotonic one, whose beginning means nothing."""
    state_ms: Milliseconds = 0
    """What it takes the state's time to be; 0 where it does not know."""
    is_wrong: bool = False
    """Whether it takes its wall clock to be wrong."""


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What one node says to another in a tick."""

    raft: list[tuple[int, AnyMessage]] = []
    requests: list[Request] = []
    answers: list[Answer] = []
    interrupts: list[Interrupt] = []
    asks: list[int] = []
    """Numbers of read indexes that the sender asks for."""
    read_indexes: list[ReadIndex] = []
    proposals: list[Proposal] = []
    """Changes of the config table that the sender asks for."""
    clocks: ClockWord | None = None
    """A few times a second, with what else there is to say."""
    lives: dict[NodeId, str] | None = None
    """Which nodes the sender hears, and which life of each (see `door`); None where nothing is said of that."""
    beat: int = 0
    """To be sent back as an echo."""
    echo: int = 0
    """The receiver's last beat."""
    standings: list[Standing] = []
    """How far the sender is, if that is told: it comes before all else."""

    def __bool__(self) -> bool:
        return any(
            (
                self.raft, self.requests, self.answers, self.interrupts, self.asks, self.read_indexes, self.proposals,
                self.standings,
            )
        )  # fmt: skip


FULL_BYTES = 64 << 20
"""A frame takes no more of what is passed on, and of answers, than this, unless a single one is larger."""


class FrameError(RedraftError):
    """A peer sent what is no frame."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def encode_frame(frame: Frame) -> bytes:
    """As it is sent."""
    return _encode(frame)


def decode_frame(data: bytes | memoryview) -> Frame:
    """Raises FrameError."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"a frame that cannot be read: {error}") from error


def _empty() -> Frame:
    return Frame([], [], [], [], [], [], [], standings=[])


class Peers:
    """The queues to the other nodes, as far as there are links."""

    def __init__(self) -> None:
        self._queues: dict[NodeId, Frame] = {}
        self._offered: dict[NodeId, Standing] = {}
        """What a node is told with the next frame that leaves to it."""
        self._sizes: dict[NodeId, int] = {}
        """Of what was passed on in those frames, and its answers."""
        self._full: list[tuple[NodeId, Frame]] = []
        """Frames that hold enough of those; they leave before the others."""
        self._untold: set[NodeId] = set()
        """Nodes whose next frame tells of the clocks here."""
        self._lives: dict[NodeId, str] | None = None
        self._beat = 0
        self._echoes: dict[NodeId, int] = {}

    def linked(self, peer: NodeId) -> bool:
        """Whether there is a link to a node."""
        return peer in self._queues

    def linked_to(self) -> list[NodeId]:
        """The nodes that there are links to."""
        return list(self._queues)

    def open(self, peer: NodeId) -> None:
        """There is a link to a node, and what was queued for an earlier one is gone."""
        self._queues[peer] = _empty()
        self._untold.add(peer)
        self._forget_full(peer)

    def close(self, peer: NodeId) -> None:
        """The link has ended."""
        self._queues.pop(peer, None)
        self._untold.discard(peer)
        self._echoes.pop(peer, None)
        self._forget_full(peer)

    def _forget_full(self, peer: NodeId) -> None:
        self._sizes.pop(peer, None)
        self._full = [each for each in self._full if each[0] != peer]

    def tell_clocks(self) -> None:
        """Have the next frame to each node tell of the clocks here."""
        self._untold.update(self._queues)

    def send_raft(self, group: GroupId, messages: Iterable[AnyMessage]) -> None:
        """Send messages of a group, each to where it belongs; those without a link are lost."""
        for message in messages:
            queue = self._queues.get(message.to)
            if queue is not None:
                queue.raft.append((group, message))

    def _queue(self, peer: NodeId, size: int) -> Frame | None:
        """The frame that so many bytes are to be put into."""
        queue = self._queues.get(peer)
        if queue is not None:
            held = self._sizes.get(peer, 0)
            if held + size > FULL_BYTES and held:
                self._full.append((peer, queue))
                queue = self._queues[peer] = _empty()
                held = 0
            self._sizes[peer] = held + size
        return queue

    def send_request(self, peer: NodeId, request: Request) -> None:
        """Pass commands on; without a link they are lost, and `forwarding` is told of that."""
        queue = self._queue(peer, len(request.commands))
        if queue is not None:
            queue.requests.append(request)

    def send_answer(self, peer: NodeId, answer: Answer) -> None:
        """Send replies back; they are lost without a link, and then the other end knows it."""
        queue = self._queue(peer, len(answer.data))
        if queue is not None:
            queue.answers.append(answer)

    def send_interrupt(self, peer: NodeId, interrupt: Interrupt) -> None:
        """Have a wait ended that was passed on."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.interrupts.append(interrupt)

    def ask_read_index(self, peer: NodeId, number: int) -> None:
        """Ask the leader for a read index."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.asks.append(number)

    def send_read_index(self, peer: NodeId, answer: ReadIndex) -> None:
        """Answer a node that has asked for a read index."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.read_indexes.append(answer)

    def send_proposal(self, peer: NodeId, proposal: Proposal) -> None:
        """Ask the config group's leader for a change; it is lost without a link, and asked for again."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.proposals.append(proposal)

    def keep_alive(self, lives: dict[NodeId, str], beat: int) -> None:
        """Say something to every node with the next tick, though there be nothing else to say: whom this one hears."""
        self._lives, self._beat = lives, beat

    def echo(self, peer: NodeId, beat: int) -> None:
        """Send a node's beat back to it."""
        if peer in self._queues:
            self._echoes[peer] = beat

    def send_standing(self, peer: NodeId, standing: Standing) -> None:
        """Tell a node how far this one is, instead of what it was to be told before."""
        queue = self._queues.get(peer)
        if queue is not None:
            queue.standings[:] = [standing]

    def offer_standing(self, peer: NodeId, standing: Standing) -> None:
        """Tell a node how far this one is with the next frame that leaves anyway."""
        self._offered[peer] = standing

    def take_frames(self, word: Callable[[], ClockWord]) -> list[tuple[NodeId, bytes]]:
        """The frames of this tick, encoded; `word` is what the clocks here show."""
        frames = [(peer, _encode(frame)) for peer, frame in self._full]
        self._full.clear()
        self._sizes.clear()
        untold = self._untold
        for peer, frame in self._queues.items():
            echo = self._echoes.pop(peer, 0)
            if not frame and self._lives is None and not echo:
                continue
            if self._lives is not None or echo:
                frame = structs.replace(frame, lives=self._lives, beat=self._beat, echo=echo)
            offered = self._offered.pop(peer, None)
            if offered is not None and not frame.standings:
                frame.standings.append(offered)
            if peer in untold:
                untold.discard(peer)
                frame = structs.replace(frame, clocks=word())
            frames.append((peer, _encode(frame)))
            self._queues[peer] = _empty()
        self._lives, self._beat = None, 0
        return frames
