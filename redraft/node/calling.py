"""What a node says that dials another one, and what it makes of the answers (see `links`); whose the bytes are is its
caller's.

The order: `greeting`; then `refused` or `answered`, whose words are said next; then `refused`, or `accepted` when the
other has said OK. What it says before it has proved who it is, ends nothing but the attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from redraft.errors import RedraftError
from redraft.ids import NodeId
from redraft.levels import INTRODUCTIONS
from redraft.node.links import (
    OUTCAST,
    VERSION,
    Cluster,
    GreetingError,
    Hello,
    Introduction,
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


class Caller(Protocol):
    """As whom one calls: a node, or what it has told another process of itself."""

    @property
    def id(self) -> NodeId: ...

    @property
    def cluster(self) -> Cluster: ...

    @property
    def incarnation(self) -> str: ...

    @property
    def introduction(self) -> Introduction: ...

    @property
    def address(self) -> str: ...

    @property
    def meets_older(self) -> bool:
        """Whether nodes may be of the cluster that know no introductions."""

    def refusal(self, peer: NodeId, incarnation: str, life: str) -> str:
        """Why the one that has answered is not the one that is called; empty if it is."""

    def accepted(self, peer: NodeId) -> None:
        """That one has let this one in. Raises StorageError."""


class NodeCaller:
    """A node that calls."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def id(self) -> NodeId:
        return self._node.id

    @property
    def cluster(self) -> Cluster:
        return self._node.cluster

    @property
    def incarnation(self) -> str:
        return self._node.members.incarnation

    @property
    def introduction(self) -> Introduction:
        return self._node.door.introduction

    @property
    def address(self) -> str:
        return self._node.members.address_here

    @property
    def meets_older(self) -> bool:
        return self._node.config.table.level < INTRODUCTIONS

    def refusal(self, peer: NodeId, incarnation: str, life: str) -> str:
        return self._node.members.refusal(peer, incarnation) or self._node.door.another_is_here(peer, life)

    def accepted(self, peer: NodeId) -> None:
        self._node.founding.let_in(peer)


class Call:
    """One greeting."""

    def __init__(self, caller: Caller, peer: NodeId, purpose: bytes, nonce: bytes) -> None:
        """`purpose` is FRAMES, SNAPSHOT or PULSE."""
        self._caller = caller
        self._peer = peer
        self._purpose = purpose
        self._nonce = nonce
        self._told: bytes | None = encode_introduction(caller.introduction)
        self._proven = False

    def greeting(self) -> list[bytes]:
        """The first command."""
        caller = self._caller
        numbers = (b"%d" % caller.id, b"%d" % self._peer)
        words = [b"REDRAFT", b"PEER", VERSION, caller.cluster.id.encode(), *numbers, self._nonce.hex().encode()]
        return words if self._told is None else [*words, self._told]

    def refused(self, text: str) -> list[bytes]:
        """An error was answered: what to say instead. Raises GreetingError, OutcastError."""
        if OUTCAST in text and self._proven:
            raise OutcastError(f"node {self._peer} says: {text.partition(OUTCAST)[2]}")
        if NOT_SO_LONG in text and self._caller.meets_older and self._told is not None and not self._proven:
            self._told = None
            return self.greeting()
        raise GreetingError(f"it says: {text}")

    def accepted(self) -> None:
        """OK was answered to the second command. Raises StorageError."""
        self._caller.accepted(self._peer)

    def answered(self, reply: object) -> list[bytes]:
        """The greeting was answered: the second command. Raises GreetingError."""
        caller = self._caller
        parts = 3 if self._told is None else 4
        if not isinstance(reply, list) or len(reply) != parts or not all(isinstance(word, bytes) for word in reply):
            raise GreetingError("it answers something else than a node does")
        try:
            nonces = self._nonce + bytes.fromhex(reply[0].decode("latin-1"))
        except ValueError as error:
            raise GreetingError("it answers something else than a node does") from error
        hello = Hello(caller.id, self._peer, nonces, self._told)
        incarnation, its_told = reply[1].decode("latin-1"), reply[3] if parts == 4 else None
        if not is_proof(caller.cluster, b"answers", incarnation, hello, its_told, reply[2]):
            raise GreetingError("it does not know the cluster's secret (without cluster-secret: the password)")
        if refusal := caller.refusal(self._peer, incarnation, decode_introduction(its_told).life):
            raise GreetingError(refusal)
        self._proven = True
        own = caller.incarnation
        proved = proof(caller.cluster, b"dials", own, hello, self._told)
        address = caller.address.encode()
        return [b"REDRAFT", b"PROOF", own.encode(), proved, self._purpose, address]
