"""What a node says that dials another one, and what it makes of the answers (see `links`); whose the bytes are is its
caller's.

The order: `greeting`; then `refused` or `answered`, whose words are said next; then `refused`, or `accepted` when the
other has said OK. What it says before it has proved who it is, ends nothing but the attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.errors import RedraftError
from redraft.ids import NodeId
from redraft.levels import INTRODUCTIONS
from redraft.node.links import (
    OUTCAST,
    VERSION,
    GreetingError,
    Hello,
    decode_introduction,
    encode_introduction,
    is_proof,
    proof,
)

if TYPE_CHECKING:
    from redraft.node.node import Node

NOT_SO_LONG = "wrong number of arguments"
"""What a version says that knows no introductions."""


class OutcastError(RedraftError):
    """This node is not to run, says one of its cluster."""


class Call:
    """One greeting."""

    def __init__(self, node: Node, peer: NodeId, purpose: bytes, nonce: bytes) -> None:
        """`purpose` is FRAMES or SNAPSHOT."""
        self._node = node
        self._peer = peer
        self._purpose = purpose
        self._nonce = nonce
        self._told: bytes | None = encode_introduction(node.door.introduction)
        self._proven = False

    def greeting(self) -> list[bytes]:
        """The first command."""
        node = self._node
        numbers = (b"%d" % node.id, b"%d" % self._peer)
        words = [b"REDRAFT", b"PEER", VERSION, node.cluster.id.encode(), *numbers, self._nonce.hex().encode()]
        return words if self._told is None else [*words, self._told]

    def refused(self, text: str) -> list[bytes]:
        """An error was answered: what to say instead. Raises GreetingError, OutcastError."""
        if OUTCAST in text and self._proven:
            raise OutcastError(f"node {self._peer} says: {text.partition(OUTCAST)[2]}")
        may_be_older = self._node.config.table.level < INTRODUCTIONS
        if NOT_SO_LONG in text and may_be_older and self._told is not None and not self._proven:
            self._told = None
            return self.greeting()
        raise GreetingError(f"it says: {text}")

    def accepted(self) -> None:
        """OK was answered to the second command. Raises StorageError."""
        self._node.founding.let_in(self._peer)

    def answered(self, reply: object) -> list[bytes]:
        """The greeting was answered: the second command. Raises GreetingError."""
        node = self._node
        parts = 3 if self._told is None else 4
        if not isinstance(reply, list) or len(reply) != parts or not all(isinstance(word, bytes) for word in reply):
            raise GreetingError("it answers something else than a node does")
        try:
            nonces = self._nonce + bytes.fromhex(reply[0].decode("latin-1"))
        except ValueError as error:
            raise GreetingError("it answers something else than a node does") from error
        hello = Hello(node.id, self._peer, nonces, self._told)
        incarnation, its_told = reply[1].decode("latin-1"), reply[3] if parts == 4 else None
        if not is_proof(node.cluster, b"answers", incarnation, hello, its_told, reply[2]):
            raise GreetingError("it does not know the cluster's secret (without cluster-secret: the password)")
        refusal = node.members.refusal(self._peer, incarnation)
        if not refusal:
            refusal = node.door.another_is_here(self._peer, decode_introduction(its_told).life)
        if refusal:
            raise GreetingError(refusal)
        self._proven = True
        own = node.members.incarnation
        proved = proof(node.cluster, b"dials", own, hello, self._told)
        address = node.members.address_here.encode()
        return [b"REDRAFT", b"PROOF", own.encode(), proved, self._purpose, address]
