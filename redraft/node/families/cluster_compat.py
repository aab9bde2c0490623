"""CLUSTER, READONLY, READWRITE, ASKING: the cluster as Redis Cluster's clients know one (Redis: cluster.c).

There is one shard, which has all slots: its leader is the master, and all other nodes are its replicas. A node's name
is made of the cluster's id and its own, so every node tells the same. The epoch is Raft's term. What changes a Redis
Cluster by hand (MEET, ADDSLOTS …) is refused with a word about how it is done here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.ids import NO_NODE, SLOT_COUNT, NodeId
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.node import Node
from redraft.node.redirect import host_and_port
from redraft.resp.reply import OK, Map, Verbatim
from redraft.slots import key_slot

_LAST_SLOT = SLOT_COUNT - 1
_OTHERWISE = (
    "ERR nodes and slots are not changed by CLUSTER here: a node joins when it is started with --join, and"
    " redraft members, promote, remove, leave and transfer-leader do the rest"
)

_anyone = partial(command, flags="stale", group="cluster")

container("CLUSTER", -2, group="cluster", since="3.0.0", summary="The cluster as Redis Cluster tells it")


def name_of(node: Node, member: NodeId) -> bytes:
    """A node's name: 40 hexadecimal digits."""
    return hashlib.sha1(f"{node.cluster.id} {member}".encode()).hexdigest().encode()


def _host_and_port(node: Node, member: NodeId) -> tuple[bytes, int]:
    host, port = host_and_port(node.members.address(member))
    return host.encode(), port


def _members(node: Node) -> list[NodeId]:
    """All nodes whose address is known, the leader first."""
    leader = node.shard.raft.leader_id
    known = [member for member in node.shard.raft.conf.members() if node.members.address(member)]
    return sorted(known, key=lambda member: (member != leader, member))


def _is_online(node: Node, member: NodeId) -> bool:
    return member == node.id or node.peers.linked(member)


@_anyone("CLUSTER KEYSLOT", 3, since="3.0.0", summary="Tell the slot of a key", complexity="O(N) with N bytes")
def keyslot(context: SessionContext, argv: list[bytes]) -> Any:
    return key_slot(argv[2])


@_anyone("CLUSTER MYID", 2, since="3.0.0", summary="Tell the node's name")
def myid(context: SessionContext, argv: list[bytes]) -> Any:
    return name_of(context.node, context.node.id)


@_anyone("CLUSTER INFO", 2, since="3.0.0", summary="Tell how the cluster is", tips=("nondeterministic_output",))
def info(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    up = node.redirect.leader() != NO_NODE
    lines = {
        "cluster_state": "ok" if up else "fail",
        "cluster_slots_assigned": SLOT_COUNT,
        "cluster_slots_ok": SLOT_COUNT if up else 0,
        "cluster_slots_pfail": 0,
        "cluster_slots_fail": 0 if up else SLOT_COUNT,
        "cluster_known_nodes": len(_members(node)),
        "cluster_size": 1,
        "cluster_current_epoch": node.shard.raft.term,
        "cluster_my_epoch": node.shard.raft.term,
        "cluster_stats_messages_sent": 0,
        "cluster_stats_messages_received": 0,
        "total_cluster_links_buffer_limit_exceeded": 0,
    }
    return Verbatim("txt", "".join(f"{name}:{value}\r\n" for name, value in lines.items()).encode())


@_anyone(
    "CLUSTER SLOTS", 2, since="3.0.0", summary="Tell which nodes have which slots, the leader first",
    tips=("nondeterministic_output",),
)  # fmt: skip
def slots(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    nodes = [[*_host_and_port(node, member), name_of(node, member), Map([])] for member in _members(node)]
    return [[0, _LAST_SLOT, *nodes]]


@_anyone(
    "CLUSTER SHARDS", 2, since="7.0.0", summary="Tell the shards: their slots and nodes",
    tips=("nondeterministic_output",),
)  # fmt: skip
def shards(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    nodes = [_shard_node(node, member) for member in _members(node)]
    return [Map([(b"slots", [0, _LAST_SLOT]), (b"nodes", nodes)])]


def _shard_node(node: Node, member: NodeId) -> Map:
    host, port = _host_and_port(node, member)
    leader = node.shard.raft.leader
    offset = node.shard.applied.index
    if leader is not None and member in leader.followers:
        offset = leader.followers[member].match
    return Map(
        [
            (b"id", name_of(node, member)),
            (b"port", port),
            (b"ip", host),
            (b"endpoint", host),
            (b"role", b"master" if member == node.shard.raft.leader_id else b"replica"),
            (b"replication-offset", offset),
            (b"health", b"online" if _is_online(node, member) else b"fail"),
        ]
    )


def _line(node: Node, member: NodeId) -> str:
    """A node as CLUSTER NODES shows it."""
    raft = node.shard.raft
    host, port = _host_and_port(node, member)
    leads = member == raft.leader_id
    flags = ["myself"] if member == node.id else []
    flags.append("master" if leads else "slave")
    if not _is_online(node, member):
        flags.append("fail")
    master = "-" if leads or raft.leader_id == NO_NODE else name_of(node, raft.leader_id).decode()
    link = "connected" if _is_online(node, member) else "disconnected"
    where = f"{host.decode()}:{port}@{port}"
    fields = [name_of(node, member).decode(), where, ",".join(flags), master, "0", "0", str(raft.term), link]
    return " ".join(fields + ([f"0-{_LAST_SLOT}"] if leads else []))


@_anyone("CLUSTER NODES", 2, since="3.0.0", summary="Tell the nodes", tips=("nondeterministic_output",))
def nodes(context: SessionContext, argv: list[bytes]) -> Any:
    lines = [_line(context.node, member) + "\n" for member in sorted(_members(context.node))]
    return Verbatim("txt", "".join(lines).encode())


def _replicas(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    by_name = {name_of(node, member): member for member in _members(node)}
    if argv[2] not in by_name:
        raise CommandError(f"ERR Unknown node {argv[2].decode('latin-1')}")
    if by_name[argv[2]] != node.shard.raft.leader_id:
        raise CommandError("ERR The specified node is not a master")
    return [_line(node, member).encode() for member in by_name.values() if member != node.shard.raft.leader_id]


for _name, _since in (("REPLICAS", "5.0.0"), ("SLAVES", "3.0.0")):
    command(
        f"CLUSTER {_name}", 3, "admin stale", group="cluster", since=_since, summary="Tell the replicas of a master",
        tips=("nondeterministic_output",),
    )(_replicas)  # fmt: skip


@command(
    "CLUSTER COUNT-FAILURE-REPORTS", 3, "admin stale", group="cluster", since="3.0.0",
    summary="Tell how many nodes report that one has failed: 0, since Raft has no such reports",
    tips=("nondeterministic_output",),
)  # fmt: skip
def count_failure_reports(context: SessionContext, argv: list[bytes]) -> Any:
    if argv[2] not in [name_of(context.node, member) for member in _members(context.node)]:
        raise CommandError(f"ERR Unknown node {argv[2].decode('latin-1')}")
    return 0


def _keys_in(context: SessionContext, slot: int) -> Iterator[bytes]:
    shard = context.node.shard
    database = shard.keyspace.databases[0]
    keys = (key for key in database.keys_from(b"") if key_slot(key) == slot)
    return (key for key in keys if database.exists(key, shard.present.hides_until_ms))


@_anyone(
    "CLUSTER COUNTKEYSINSLOT", 3, since="3.0.0", summary="Count the keys that this node has in a slot",
    complexity="O(N) with N keys in the database",
)  # fmt: skip
def countkeysinslot(context: SessionContext, argv: list[bytes]) -> Any:
    slot = parse.integer(argv[2])
    if not 0 <= slot <= _LAST_SLOT:
        raise CommandError("ERR Invalid slot")
    return sum(1 for _ in _keys_in(context, slot))


@_anyone(
    "CLUSTER GETKEYSINSLOT", 4, since="3.0.0", summary="Tell keys that this node has in a slot",
    complexity="O(N) with N keys in the database", tips=("nondeterministic_output",),
)  # fmt: skip
def getkeysinslot(context: SessionContext, argv: list[bytes]) -> Any:
    slot, count = parse.integer(argv[2]), parse.integer(argv[3])
    if not 0 <= slot <= _LAST_SLOT or count < 0:
        raise CommandError("ERR Invalid slot or number of keys")
    return list(islice(_keys_in(context, slot), count))


# Changing.


@command(
    "CLUSTER FAILOVER", -2, "admin stale no_async_loading", group="cluster", since="3.0.0",
    summary="Have leadership handed over to this node",
)  # fmt: skip
def failover(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    if context.in_transaction:
        raise CommandError(errors.NOT_IN_MULTI)
    if len(argv) > 2:
        raise CommandError("ERR leadership is not taken by force: without a leader the nodes elect one by themselves")
    if node.shard.raft.leader is not None:
        raise CommandError("ERR You should send CLUSTER FAILOVER to a replica")
    node.forwarding.pass_on(context.session, [[b"REDRAFT", b"TRANSFER", b"%d" % node.id]], writes=False)
    return NO_REPLY


def _refuse(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(_OTHERWISE)


for _name, _arity, _since in (
    ("ADDSLOTS", -3, "3.0.0"), ("ADDSLOTSRANGE", -4, "7.0.0"), ("BUMPEPOCH", 2, "3.0.0"), ("DELSLOTS", -3, "3.0.0"),
    ("DELSLOTSRANGE", -4, "7.0.0"), ("FLUSHSLOTS", 2, "3.0.0"), ("FORGET", 3, "3.0.0"), ("MEET", -4, "3.0.0"),
    ("REPLICATE", 3, "3.0.0"), ("RESET", -2, "3.0.0"), ("SET-CONFIG-EPOCH", 3, "3.0.0"), ("SETSLOT", -4, "3.0.0"),
):  # fmt: skip
    command(
        f"CLUSTER {_name}", _arity, "admin noscript stale" if _name == "RESET" else "admin stale no_async_loading",
        group="cluster", since=_since, summary="An error that says how it is done here",
        tips=("nondeterministic_output",) if _name == "BUMPEPOCH" else (),
    )(_refuse)  # fmt: skip


@command(
    "CLUSTER SAVECONFIG", 2, "admin stale no_async_loading", group="cluster", since="3.0.0",
    summary="Do nothing: who is in the cluster is durable",
)  # fmt: skip
def saveconfig(context: SessionContext, argv: list[bytes]) -> Any:
    return OK


# The connection.

_CONNECTION = "loading stale fast"


@command(
    "READONLY", 1, _CONNECTION, group="cluster", since="3.0.0", acl="connection",
    summary="Let a node that does not lead answer this connection's reads from what it has, which may be old",
)  # fmt: skip
def readonly(context: SessionContext, argv: list[bytes]) -> Any:
    context.session.reads_stale = True
    return OK


@command(
    "READWRITE", 1, _CONNECTION, group="cluster", since="3.0.0", acl="connection", summary="End what READONLY allows"
)  # fmt: skip
def readwrite(context: SessionContext, argv: list[bytes]) -> Any:
    context.session.reads_stale = False
    return OK


@command(
    "ASKING", 1, "fast", group="cluster", since="3.0.0", acl="connection",
    summary="Do nothing: no slot is ever between two nodes",
)  # fmt: skip
def asking(context: SessionContext, argv: list[bytes]) -> Any:
    return OK
