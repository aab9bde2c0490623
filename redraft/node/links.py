"""How nodes come to trust each other, and the bytes that they send then.

A link begins as a client connection, on the port of clients, and carries frames one way: a node dials every other to
say what it has to say. The one that dials tells its name and a nonce; the one that answers proves with another nonce
that it knows the cluster's secret, and asks the same. The secret itself is never sent (HMAC-SHA256 over both nonces and
both names), and an answer cannot be used a second time or in the other direction.

```
→ REDRAFT PEER version cluster-id node-id to-node-id nonce       ← [nonce, incarnation, proof of the one that answers]
→ REDRAFT PROOF incarnation proof FRAMES address                 ← OK, and frames from then on:
→ length (4 bytes, little endian), frame (see `peers`)
```

The version changes only where nodes of two versions could not understand each other; they refuse each other then. What
they can pass over, or ask the feature level for (`levels`), does not change it.

The address is where the one that dials is to be reached: who was admitted a moment ago may know nobody else of the
cluster as it is now, and could not answer its leader. With SNAPSHOT for FRAMES the bytes of a snapshot follow (see
`server.snapshots`), which shall not hold up heartbeats.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from redraft.errors import CommandError
from redraft.ids import NodeId
from redraft.node.peers import FrameError, decode_frame

if TYPE_CHECKING:
    from redraft.node.node import Node

VERSION = b"7"
NONCE_BYTES = 16
MOST_FRAME_BYTES = 1 << 31
_LENGTH = struct.Struct("<I")

REFUSED = "ERR this node does not take that peer: "
OUTCAST = "OUTCAST this node does not take that peer any more: "
"""Said to who has proved to be what it says, and is of the cluster no more; it shall stop."""


class Cluster(NamedTuple):
    """What a node knows of the cluster that it is of."""

    id: str
    secret: bytes


class Hello(NamedTuple):
    """What the one that dials has said."""

    sender: NodeId
    to: NodeId
    nonces: bytes
    """Its own and the other's."""


def proof(cluster: Cluster, role: bytes, incarnation: str, hello: Hello) -> bytes:
    """Shows that its maker, of that incarnation, knows the secret; `role` is who it is, b"dials" or b"answers"."""
    names = [role, cluster.id.encode(), b"%d" % hello.sender, b"%d" % hello.to, incarnation.encode()]
    text = b" ".join([*names, hello.nonces.hex().encode()])
    return hmac.new(cluster.secret, text, hashlib.sha256).hexdigest().encode()


def answer_hello(
    cluster: Cluster, own: NodeId, incarnation: str, argv: list[bytes], nonce: bytes
) -> tuple[Hello, list[bytes]]:
    """Look at what a node that dials has said; what to hold it to, and the reply. Raises CommandError."""
    version, cluster_id, sender, to, their_nonce = argv
    if version != VERSION:
        raise CommandError(f"{REFUSED}it speaks version {version.decode('latin-1')}, this node {VERSION.decode()}")
    if cluster_id.decode("latin-1") != cluster.id:
        raise CommandError(f"{REFUSED}it is of another cluster")
    try:
        hello = Hello(NodeId(int(sender)), NodeId(int(to)), bytes.fromhex(their_nonce.decode("latin-1")) + nonce)
    except ValueError as error:
        raise CommandError(f"{REFUSED}its greeting cannot be read") from error
    if hello.to != own or len(hello.nonces) != 2 * NONCE_BYTES:
        raise CommandError(f"{REFUSED}it looks for node {hello.to}, and this is node {own}")
    if hello.sender == own:
        raise CommandError(f"{REFUSED}it has this node's id")
    return hello, [nonce.hex().encode(), incarnation.encode(), proof(cluster, b"answers", incarnation, hello)]


def is_proof(cluster: Cluster, role: bytes, incarnation: str, hello: Hello, given: bytes) -> bool:
    """Whether a proof is right."""
    return hmac.compare_digest(proof(cluster, role, incarnation, hello), given)


def join_proof(secret: bytes, address: str, incarnation: str) -> bytes:
    """Shows that a node that wants to join knows the secret."""
    return hmac.new(secret, f"join {address} {incarnation}".encode(), hashlib.sha256).hexdigest().encode()


def framed(frame: bytes) -> bytes:
    """A frame as it is sent."""
    return _LENGTH.pack(len(frame)) + frame


class Link(Protocol):
    """What takes the bytes that another node sends."""

    peer: NodeId

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""

    def close(self) -> None:
        """The connection has ended."""


class IncomingLink:
    """What another node says, once it has proved who it is."""

    def __init__(self, node: Node, peer: NodeId) -> None:
        self._node = node
        self.peer = peer
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, start)
            if size > MOST_FRAME_BYTES:
                raise FrameError(f"a frame of {size} bytes")
            end = start + _LENGTH.size + size
            if len(buffer) < end:
                break
            frame = decode_frame(bytes(memoryview(buffer)[start + _LENGTH.size : end]))
            start = end
            self._node.incoming.receive_frame(self.peer, frame)
        if start:
            del buffer[:start]

    def close(self) -> None:
        """The connection has ended, and with it the sessions that the other node has here."""
        self._node.incoming.lost(self)
