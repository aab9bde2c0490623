"""The config table: which nodes there are, which shards, and who holds a replica of what (design section 9).

It is the state machine of the config group: a `Change` in its log makes the next version of the table or is refused,
the same on every node. Nothing else decides who belongs to the cluster; each group's leader only brings its group's
members in line with the newest version (`placement`). A change that is made already is no error, so that whoever is not
sure whether a change was made asks again.

A node's *incarnation* is drawn when its directory is made. A node that comes back with its old id and another one has
lost its data, and with it promises that others count on: nobody listens to it any more.

Invariants (`check`): versions go up by one; a node's id is never given twice; every replica is on a node of the table;
at most one node is leaving; the feature level never falls, and all nodes have announced that they know it.
"""

from __future__ import annotations

import msgspec
from msgspec import structs

from redraft.errors import RedraftError
from redraft.ids import FIRST_SHARD_GROUP, NO_NODE, SLOT_COUNT, GroupId, NodeId
from redraft.levels import FIRST

ALL_SLOTS = ((0, SLOT_COUNT - 1),)


class RefusedError(RedraftError):
    """A change cannot be made; the message is for people."""


class NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    """A node of the cluster."""

    address: str
    """HOST:PORT."""
    incarnation: str = ""
    """Of its directory; empty until the node has announced it."""
    leaving: bool = False
    """It is to be taken out of every group, and then out of the table."""
    successor: NodeId = NO_NODE
    """Who takes its place: until that one votes, it stays."""
    level: int = FIRST
    """The newest feature level that its version knows, as it has announced."""


class ShardRecord(msgspec.Struct, frozen=True, array_like=True):
    """A shard of the data."""

    slots: tuple[tuple[int, int], ...]
    """First and last slot of each range."""
    replicas: tuple[NodeId, ...]
    """The nodes that hold it, in the order of their ids."""


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found"):
    """The first change of all: the nodes that the cluster begins with. There is one shard then, and it is on all."""

    nodes: dict[NodeId, NodeRecord]


class Announce(msgspec.Struct, frozen=True, array_like=True, tag="announce"):
    """A node says where it is, which incarnation, and what its version knows."""

    node: NodeId
    address: str
    incarnation: str
    level: int = FIRST


class Admit(msgspec.Struct, frozen=True, array_like=True, tag="admit"):
    """A new node joins. Its id is found by its incarnation."""

    address: str
    incarnation: str
    level: int = FIRST


class Retire(msgspec.Struct, frozen=True, array_like=True, tag="retire"):
    """A node is to leave; with a successor, when that one can take its place."""

    node: NodeId
    successor: NodeId = NO_NODE


class Left(msgspec.Struct, frozen=True, array_like=True, tag="left"):
    """A leaving node is of a shard's group no more: it is committed. Only that group's leader knows."""

    group: GroupId
    node: NodeId


class Drop(msgspec.Struct, frozen=True, array_like=True, tag="drop"):
    """A leaving node has left all shards: it is of the cluster no more."""

    node: NodeId


class Survive(msgspec.Struct, frozen=True, array_like=True, tag="survive"):
    """All nodes but one are gone for good (`redraft recover`)."""

    node: NodeId


class Rise(msgspec.Struct, frozen=True, array_like=True, tag="rise"):
    """Every node knows a feature level: it may be used."""

    level: int


Change = Found | Announce | Admit | Retire | Left | Drop | Survive | Rise


class Table(msgspec.Struct, frozen=True, array_like=True):
    """One version of the table."""

    version: int = 0
    """0: the cluster is not founded."""
    nodes: dict[NodeId, NodeRecord] = {}
    shards: dict[GroupId, ShardRecord] = {}
    last_node: NodeId = NO_NODE
    """The highest id that was ever given."""
    level: int = FIRST
    """The feature level that may be used."""

    def after(self, change: Change) -> Table:
        """The table after a change; this one if it is made already. Raises RefusedError."""
        match change:
            case Found():
                return self._found(change)
            case Announce():
                return self._announce(change)
            case Admit():
                return self._admit(change)
            case Retire():
                return self._retire(change)
            case Left():
                return self._left(change)
            case Drop():
                return self._drop(change)
            case Survive():
                record = self.nodes.get(change.node, NodeRecord("", level=self.level))
                alone = {change.node: structs.replace(record, leaving=False, successor=NO_NODE)}
                return self._next(alone, {FIRST_SHARD_GROUP: ShardRecord(ALL_SLOTS, (change.node,))})
            case Rise():
                return self._rise(change)

    def _next(self, nodes: dict[NodeId, NodeRecord], shards: dict[GroupId, ShardRecord] | None = None) -> Table:
        shards = self.shards if shards is None else shards
        return Table(self.version + 1, nodes, shards, NodeId(max(self.last_node, *nodes)), self.level)

    def _known(self, node: NodeId) -> NodeRecord:
        record = self.nodes.get(node)
        if record is None:
            raise RefusedError(f"node {node} is not a member")
        return record

    def _found(self, change: Found) -> Table:
        if self.version:
            return self
        whole = ShardRecord(ALL_SLOTS, tuple(sorted(change.nodes)))
        return self._next(change.nodes, {FIRST_SHARD_GROUP: whole})

    def _announce(self, change: Announce) -> Table:
        record = self._known(change.node)
        if record.incarnation not in ("", change.incarnation):
            raise RefusedError(f"node {change.node} has other data than it had; remove it, and have it join anew")
        self._check_knows(f"node {change.node}", change.level)
        said = structs.replace(record, address=change.address, incarnation=change.incarnation, level=change.level)
        return self if said == record else self._next({**self.nodes, change.node: said})

    def _admit(self, change: Admit) -> Table:
        if not self.version:
            raise RefusedError("the cluster is not founded yet")
        if self.find(change.incarnation) is not None:
            return self
        for node, record in self.nodes.items():
            if record.address == change.address:
                raise RefusedError(f"{change.address} is node {node} already; remove it first if it lost its data")
        self._check_knows(f"the node at {change.address}", change.level)
        node = NodeId(self.last_node + 1)
        shards = {
            group: structs.replace(shard, replicas=(*shard.replicas, node)) for group, shard in self.shards.items()
        }
        record = NodeRecord(change.address, change.incarnation, level=change.level)
        return self._next({**self.nodes, node: record}, shards)

    def _check_knows(self, who: str, level: int) -> None:
        if level < self.level:
            raise RefusedError(
                f"{who} runs a version of feature level {level}, and the cluster is at {self.level}: start a newer one"
            )

    def _retire(self, change: Retire) -> Table:
        record = self._known(change.node)
        if change.successor != NO_NODE:
            self._known(change.successor)
        wanted = structs.replace(record, leaving=True, successor=change.successor)
        if wanted == record:
            return self
        others = [node for node, each in self.nodes.items() if each.leaving and node != change.node]
        if others:
            raise RefusedError(f"a change is under way: node {others[0]} is leaving")
        if len(self.nodes) == 1:
            raise RefusedError(f"node {change.node} is the last one")
        if change.successor == change.node:
            raise RefusedError(f"node {change.node} cannot take its own place")
        return self._next({**self.nodes, change.node: wanted})

    def _left(self, change: Left) -> Table:
        shard = self.shards.get(change.group)
        if shard is None or change.node not in shard.replicas:
            return self
        if not self.nodes[change.node].leaving:
            raise RefusedError(f"node {change.node} is not leaving")
        replicas = tuple(node for node in shard.replicas if node != change.node)
        return self._next(self.nodes, {**self.shards, change.group: structs.replace(shard, replicas=replicas)})

    def _drop(self, change: Drop) -> Table:
        if change.node not in self.nodes:
            return self
        if not self.nodes[change.node].leaving:
            raise RefusedError(f"node {change.node} is not leaving")
        if groups := self.shards_of(change.node):
            raise RefusedError(f"node {change.node} is of shard {groups[0]} still")
        return self._next({node: record for node, record in self.nodes.items() if node != change.node})

    def _rise(self, change: Rise) -> Table:
        if change.level <= self.level:
            return self
        for node, record in self.nodes.items():
            if record.level < change.level:
                raise RefusedError(f"node {node} runs a version of feature level {record.level}")
        return structs.replace(self._next(self.nodes), level=change.level)

    # Looking.

    def common_level(self) -> int:
        """The newest feature level that all nodes know, as they have announced."""
        return min((record.level for record in self.nodes.values()), default=FIRST)

    def find(self, incarnation: str) -> NodeId | None:
        """The node whose directory has an incarnation."""
        for node, record in self.nodes.items():
            if record.incarnation == incarnation:
                return node
        return None

    def shards_of(self, node: NodeId) -> list[GroupId]:
        """The shards that a node holds a replica of."""
        return [group for group, shard in self.shards.items() if node in shard.replicas]

    def leaving(self) -> dict[NodeId, NodeId]:
        """The nodes that are to leave, and who takes the place of each (or NO_NODE)."""
        return {node: record.successor for node, record in self.nodes.items() if record.leaving}

    def check(self) -> None:
        """Assert the invariants."""
        assert not self.nodes or max(self.nodes) <= self.last_node
        assert len(self.leaving()) <= 1
        assert self.level <= self.common_level()
        for shard in self.shards.values():
            assert set(shard.replicas) <= set(self.nodes)
