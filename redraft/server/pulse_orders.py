"""What a node tells the process that its pulse leaves from: whom to reach, and as whom."""

from __future__ import annotations

import ssl
from typing import Any

import msgspec
from msgspec import structs

from redraft.ids import NodeId
from redraft.node.links import Cluster, Introduction


class Orders(msgspec.Struct, frozen=True):
    """All of it; a later one takes the place of an earlier one. Implements `node.calling.Caller`."""

    id: NodeId
    cluster_id: str
    secret: bytes
    password: bytes
    incarnation: str
    introduction: Introduction
    address: str
    meets_older: bool
    peers: dict[NodeId, str]
    """Where the others are."""
    tls: dict[str, Any] = {}
    """The options that the certificates are read by, under their attributes' names; none for links without TLS."""

    @property
    def cluster(self) -> Cluster:
        """As `node.links` has it."""
        return Cluster(self.cluster_id, self.secret, self.password)

    def refusal(self, peer: NodeId, incarnation: str, life: str) -> str:
        """Whoever knows the secret may hear that this node lives."""
        return ""

    def accepted(self, peer: NodeId) -> None:
        """Nothing follows from it."""

    def but_for_peers(self) -> Orders:
        """What the pulses to all of them have in common."""
        return structs.replace(self, peers={})

    def tls_context(self) -> ssl.SSLContext | None:
        """What the others are dialled with; None without TLS. Raises UserError."""
        if not self.tls:
            return None
        # The options are many to read, for most clusters in vain.
        from redraft.server.certificates import peer_context
        from redraft.settings import Settings

        settings = Settings()
        for name, value in self.tls.items():
            setattr(settings, name, value)
        return peer_context(settings)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Orders).decode


def encode_orders(orders: Orders) -> bytes:
    """As they are told."""
    return _encode(orders)


def decode_orders(data: bytes) -> Orders:
    """What was told."""
    return _decode(data)
