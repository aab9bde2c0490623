"""How nodes come to trust each other, and the bytes that they send then.

A link begins as a client connection, on the port of clients, and carries frames one way: a node dials every other to
say what it has to say. The one that dials tells its name and a nonce; the one that answers proves with another nonce
that it knows the cluster's secret, and asks the same. The secret itself is never sent (HMAC-SHA256 over both nonces and
both names), and an answer cannot be used a second time or in the other direction.

```
→ REDRAFT PEER version cluster-id node-id to-node-id nonce introduction
                                                  ← [nonce, incarnation, proof of the one that answers, introduction]
→ REDRAFT PROOF incarnation proof FRAMES address                 ← OK, and frames from then on:
→ length (4 bytes, little endian), frame (see `peers`)
```

Versions before feature level 2 know no introductions (`Introduction`). One that is greeted at such length says that it
is the wrong number of arguments, and is greeted without; one that greets without is answered without, until the table
says that all know better.

Without a `cluster-secret` the password (`requirepass`) is the secret, if there is one: else who is kept out as a client
would come in as a node. A password is weaker than a secret should be, and who names the cluster is shown a proof made
with it: so it is stretched first, that guessing takes long.

The version changes only where nodes of two versions could not understand each other; they refuse each other then. What
they can pass over, or ask the feature level for (`levels`), does not change it.

The address is where the one that dials is to be reached: who was admitted a moment ago may know nobody else of the
cluster as it is now, and could not answer its leader. With SNAPSHOT for FRAMES the bytes of a snapshot follow (see
`server.snapshots`), which shall not hold up heartbeats; with PULSE the node's pulse (see `pulse`).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from redraft.errors import CommandError, RedraftError
from redraft.ids import NodeId
from redraft.node.peers import FrameError, decode_frame
from redraft.node.pulse import MOST_PULSE_BYTES, Pulse, PulseError, decode_pulse

if TYPE_CHECKING:
    from redraft.node.node import Node

VERSION = b"7"
NONCE_BYTES = 16
MOST_FRAME_BYTES = 3 << 30
"""One entry, and one request or answer, may each be as large as a client's largest command; all else is small."""
STRETCHES = 100_000
"""Of PBKDF2: some tens of milliseconds for each guess."""
_LENGTH = struct.Struct("<I")

T = TypeVar("T")

REFUSED = "ERR this node does not take that peer: "
OUTCAST = "OUTCAST this node does not take that peer any more: "
"""Said to who has proved to be what it says, and is of the cluster no more; it shall stop."""


class GreetingError(RedraftError):
    """A node could not be greeted."""


class Cluster(NamedTuple):
    """What a node knows of the cluster that it is of."""

    id: str
    secret: bytes
    password: bytes = b""
    """`requirepass`; it may change while the node runs."""

    def key(self, *, introduced: bool) -> bytes:
        """What proofs are made with; older versions, which do not introduce themselves, know no password there."""
        if self.secret or not self.password or not introduced:
            return self.secret
        return _stretched(self.password, self.id)


@lru_cache(maxsize=4)
def _stretched(password: bytes, cluster_id: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, cluster_id.encode(), STRETCHES)


class Introduction(msgspec.Struct, frozen=True, array_like=True):
    """What a node tells of itself beside its name; each proves its own with the rest."""

    life: str = ""
    """Drawn at each start: two processes that are one node, by their directories, are told apart by it."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Introduction).decode


def encode_introduction(introduction: Introduction) -> bytes:
    """As it is told, and proved."""
    return _encode(introduction)


def decode_introduction(told: bytes | None) -> Introduction:
    """What was told; nothing by an older version. Raises GreetingError."""
    if told is None:
        return Introduction()
    try:
        return _decode(told)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GreetingError("its introduction cannot be read") from error


class Hello(NamedTuple):
    """What the one that dials has said."""

    sender: NodeId
    to: NodeId
    nonces: bytes
    """Its own and the other's."""
    introduction: bytes | None = None
    """As it was told; None for an older version, which knows none."""
    at: int = 0
    at_ns: int = 0
    """When it was answered, in ticks (see `door`) and by the monotonic clock: who proves it later, was there after."""


def proof(cluster: Cluster, role: bytes, incarnation: str, hello: Hello, told: bytes | None) -> bytes:
    """Shows that its maker, of that incarnation and who has told that of itself, knows the secret; `role` is who it is,
    b"dials" or b"answers"."""
    names = [role, cluster.id.encode(), b"%d" % hello.sender, b"%d" % hello.to, incarnation.encode()]
    text = b" ".join([*names, hello.nonces.hex().encode(), *([] if told is None else [told.hex().encode()])])
    key = cluster.key(introduced=told is not None)
    return hmac.new(key, text, hashlib.sha256).hexdigest().encode()


class Answerer(NamedTuple):
    """Who is greeted."""

    cluster: Cluster
    node: NodeId
    incarnation: str
    introduction: Introduction
    takes_older: bool
    """Whether nodes may be of the cluster that do not introduce themselves."""


def answer_hello(own: Answerer, argv: list[bytes], nonce: bytes) -> tuple[Hello, list[bytes]]:
    """Look at what a node that dials has said; what to hold it to, and the reply. Raises CommandError."""
    version, cluster_id, sender, to, their_nonce, *introduced = argv
    if version != VERSION:
        raise CommandError(f"{REFUSED}it speaks version {version.decode('latin-1')}, this node {VERSION.decode()}")
    if cluster_id.decode("latin-1") != own.cluster.id:
        raise CommandError(f"{REFUSED}it is of another cluster")
    told = introduced[0] if introduced else None
    try:
        nonces = bytes.fromhex(their_nonce.decode("latin-1")) + nonce
        hello = Hello(NodeId(int(sender)), NodeId(int(to)), nonces, told)
        decode_introduction(told)
    except (ValueError, GreetingError) as error:
        raise CommandError(f"{REFUSED}its greeting cannot be read") from error
    if hello.sender < 1:
        raise CommandError(f"{REFUSED}its greeting cannot be read")
    if hello.to != own.node or len(hello.nonces) != 2 * NONCE_BYTES:
        raise CommandError(f"{REFUSED}it looks for node {hello.to}, and this is node {own.node}")
    if hello.sender == own.node:
        raise CommandError(f"{REFUSED}it has this node's id")
    if told is None and not own.takes_older:
        raise CommandError(f"{REFUSED}it does not introduce itself: its version is older than the cluster's")
    said = None if told is None else encode_introduction(own.introduction)
    proved = proof(own.cluster, b"answers", own.incarnation, hello, said)
    reply = [nonce.hex().encode(), own.incarnation.encode(), proved]
    return hello, reply if said is None else [*reply, said]


def is_proof(cluster: Cluster, role: bytes, incarnation: str, hello: Hello, told: bytes | None, given: object) -> bool:
    """Whether a proof is right."""
    right = proof(cluster, role, incarnation, hello, told)
    return isinstance(given, bytes) and hmac.compare_digest(right, given)


def join_proof(secret: bytes, address: str, incarnation: str) -> bytes:
    """Shows that a node that wants to join knows the secret."""
    return hmac.new(secret, f"join {address} {incarnation}".encode(), hashlib.sha256).hexdigest().encode()


def frame_head(size: int) -> bytes:
    """What stands before a frame of so many bytes."""
    return _LENGTH.pack(size)


def framed(frame: bytes) -> bytes:
    """A frame as it is sent."""
    return frame_head(len(frame)) + frame


class Link(Protocol):
    """What takes the bytes that another node sends."""

    peer: NodeId

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""

    def close(self) -> None:
        """The connection has ended."""


class Frames(Generic[T]):
    """Makes frames of bytes."""

    def __init__(self, most_bytes: int, decode: Callable[[memoryview], T]) -> None:
        """`decode` keeps nothing of what it is handed. It raises FrameError."""
        self._most_bytes = most_bytes
        self._decode = decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[T]:
        """Bytes have come; the frames that are whole now. Raises FrameError."""
        buffer = self._buffer
        buffer += data
        frames: list[T] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, start)
            if size > self._most_bytes:
                raise FrameError(f"a frame of {size} bytes")
            end = start + _LENGTH.size + size
            if len(buffer) < end:
                break
            with memoryview(buffer) as whole, whole[start + _LENGTH.size : end] as frame:
                frames.append(self._decode(frame))
            start = end
        if start:
            del buffer[:start]
        return frames

    @property
    def has_part(self) -> bool:
        """Whether there are bytes of a frame that is not whole."""
        return bool(self._buffer)


class IncomingLink:
    """What another node says, once it has proved who it is."""

    def __init__(self, node: Node, peer: NodeId, life: str = "", at: int = 0, at_ns: int = 0) -> None:
        """`at`, `at_ns`: when the other node is known to have been there."""
        self._node = node
        self.peer = peer
        self.life = life
        """Of the other node's process; empty for an older version."""
        self.since = self.silent_from = node.door.now
        """The tick (see `door`) in which it began; and that from which on silence counts, since it was let in then or a
        pulse excused it."""
        self.alive_at, self.alive_ns = at, at_ns
        """When the other node is known to have been there, as far as it has proved that."""
        self.beat = 0
        """The last that came."""
        self._closed = False
        self._frames = Frames(MOST_FRAME_BYTES, decode_frame)

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        if self._closed:
            return  # another link has taken its place
        for frame in self._frames.feed(data):
            self._node.incoming.receive_frame(self.peer, frame)
        if self._frames.has_part:
            self._node.liveness.moved(self.peer)

    def close(self) -> None:
        """The connection has ended, and with it the sessions that the other node has here."""
        self._closed = True
        self._node.incoming.lost(self)


def _pulse(data: memoryview) -> Pulse:
    try:
        return decode_pulse(data)
    except PulseError as error:
        raise FrameError(str(error)) from error


class PulseLink:
    """Another node's pulse, once that has proved whose it is."""

    def __init__(self, node: Node, peer: NodeId) -> None:
        self._node = node
        self.peer = peer
        self._frames = Frames(MOST_PULSE_BYTES, _pulse)

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        for pulse in self._frames.feed(data):
            self._node.liveness.heard(self.peer, pulse)

    def close(self) -> None:
        """The connection has ended."""
        self._node.incoming.pulse_lost(self)
