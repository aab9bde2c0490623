"""REDRAFT's commands about the cluster's members (see node/membership.py), for redis-cli and for `redraft`."""

from __future__ import annotations

import hmac
from typing import Any

from redraft import __version__
from redraft.addresses import split_address
from redraft.commands import parse
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.ids import NodeId
from redraft.levels import FIRST
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.flusher import ImageDigest
from redraft.node.links import join_proof
from redraft.node.session import Blocked
from redraft.resp.reply import Map

_FLAGS = "noscript no_multi admin"


def _node_id(word: bytes) -> NodeId:
    return NodeId(parse.integer_in(word, 1, (1 << 63) - 1, "ERR a node id is a whole number from 1 on"))


@command(
    "REDRAFT JOIN", -5, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Admit the node at an address as a learner (a new node does it by itself)",
)  # fmt: skip
def join(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    if node.settings.tls_cluster and not context.session.encrypted:
        raise CommandError("ERR this cluster takes nodes by TLS only (tls-cluster)")
    address, incarnation = argv[2].decode("latin-1"), argv[3].decode("latin-1")
    try:
        split_address(address)
    except ValueError as error:
        raise CommandError(f"ERR {error}") from None
    if not hmac.compare_digest(argv[4], join_proof(node.cluster.secret, address, incarnation)):
        raise CommandError("ERR the new node does not know the cluster's secret")
    level = FIRST
    if len(argv) > 5:
        level = parse.integer_in(argv[5], FIRST, (1 << 31) - 1, "ERR a feature level is a whole number from 1 on")
    return node.membership.join(context.session, address, incarnation, level)


@command(
    "REDRAFT REMOVE", 3, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Take a node out of the cluster, whether it is there or not",
)  # fmt: skip
def remove(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.membership.remove(context.session, _node_id(argv[2]))


@command(
    "REDRAFT REPLACE", 4, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Have a node that has joined take the place of another, in one change",
)  # fmt: skip
def replace(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.membership.remove(context.session, _node_id(argv[2]), _node_id(argv[3]))


@command(
    "REDRAFT TABLE", -2, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="The config table as this node has it, the newest version or the one that is asked for",
)  # fmt: skip
def table(context: SessionContext, argv: list[bytes]) -> Any:
    tables = context.node.config.tables
    version = len(tables) - 1
    if len(argv) > 2:
        version = parse.integer_in(argv[2], 0, version, f"ERR this node knows the versions 0 to {version}")
    found = tables[version]
    nodes = [
        Map(
            [
                (b"id", node),
                (b"address", record.address.encode()),
                (b"incarnation", record.incarnation.encode()),
                (b"leaving", int(record.leaving)),
                (b"successor", record.successor or None),
                (b"level", record.level),
            ]
        )
        for node, record in found.nodes.items()
    ]
    shards = [
        Map(
            [
                (b"id", group),
                (b"slots", [f"{first}-{last}".encode() for first, last in shard.slots]),
                (b"replicas", list(shard.replicas)),
            ]
        )
        for group, shard in found.shards.items()
    ]
    return Map([(b"version", found.version), (b"level", found.level), (b"nodes", nodes), (b"shards", shards)])


@command(
    "REDRAFT PROMOTE", 3, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Make a learner a voter that has caught up",
)  # fmt: skip
def promote(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.membership.promote(context.session, _node_id(argv[2]))


@command(
    "REDRAFT TRANSFER", 3, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Hand leadership over to another voter",
)  # fmt: skip
def transfer(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.membership.transfer(_node_id(argv[2]))


@command(
    "REDRAFT MEMBERS", 2, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="The cluster's nodes as the leader knows them",
)  # fmt: skip
def members(context: SessionContext, argv: list[bytes]) -> Any:
    return [
        Map(
            [
                (b"id", member.id),
                (b"address", member.address.encode()),
                (b"role", member.role.encode()),
                (b"match-index", member.match_index),
                (b"lag", member.lag),
                (b"state", member.state.encode()),
                (b"reachable", None if member.reachable is None else int(member.reachable)),
                (b"snapshot", member.snapshot.encode()),
                (b"forgetful", int(member.forgetful)),
            ]
        )
        for member in context.node.members.statuses()
    ]


@command(
    "REDRAFT LEAVE", 2, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="Take this node out of the cluster",
)  # fmt: skip
def leave(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.membership.remove(context.session, context.node.id)


@command(
    "REDRAFT DIGEST", 2, "admin noscript no_async_loading no_multi", group="server", since="7.0.0",
    acl="admin dangerous", complexity="O(N) where N is the number of keys; in a thread",
    summary="A checksum of this node's data, and the entry that it is as of: equal on all replicas as of one entry",
)  # fmt: skip
def digest(context: SessionContext, argv: list[bytes]) -> Any:
    """Of the image, which is brought up to date first: what a restart would read."""
    node, session = context.node, context.session

    def computed(found: ImageDigest) -> None:
        applied = found.point.applied
        pairs: list[tuple[Any, Any]] = [(b"applied-index", applied.index), (b"applied-term", applied.term)]
        pairs += [(b"keys", found.keys), (b"digest", found.sha256.encode())]
        node.unblock(session, Map(pairs))

    node.block(session, Blocked("digest"))
    node.flusher.digest(computed)
    return NO_REPLY


@command(
    "REDRAFT STATUS", 2, _FLAGS, group="server", since="7.0.0", acl="admin dangerous",
    summary="What this node knows of its group: who leads, terms and indexes; and its version",
)  # fmt: skip
def status(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    found = node.shard.raft.status()
    return Map(
        [
            (b"cluster-id", node.cluster.id.encode()),
            (b"node-id", found.id),
            (b"address", node.members.address(found.id).encode()),
            (b"role", found.role.value.encode()),
            (b"leader-id", found.leader),
            (b"term", found.term),
            (b"commit-index", found.commit_index),
            (b"applied-index", found.applied_index),
            (b"last-index", found.last_index),
            (b"flushed-index", node.shard.flushed),
            (b"serves", int(node.serves)),
            (b"version", __version__.encode()),
            (b"feature-level", node.config.table.level),
            (b"clock-offset-ms", node.clocks.offset_ms),
            (b"forgotten", node.memory.status().encode()),
        ]
    )
