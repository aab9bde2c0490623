"""Who leads this node's shard, whether data may be served here, and what follows when that changes.

A node *serves* when it leads, has applied all that earlier leaders committed, is not handing over, and holds a lease
(or is alone). The lease is looked at after a request was read, never before: what came in while the process was paused
may be newer than another leader (`permission`).

Invariant: what a leader that leads no more owes is told of at once (`leadership_lost` of each part), before anything
else is executed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs

from redraft.ids import NO_NODE, NodeId, Term
from redraft.node.permission import Permission
from redraft.node.timers import Timer
from redraft.raft.errors import RaftError
from redraft.raft.progress import ProgressState
from redraft.values.thresholds import Thresholds

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.raft.node import RaftNode

log = logging.getLogger("redraft.node")

FOREVER_NS = 1 << 62
CLOCK_NS = 1_000_000
"""How old the time may be that reads go by: deadlines are in whole milliseconds."""
HOLD_NS = 3_000_000
"""The longest that followers do not hear of a commit because more entries are expected."""


class Leadership:
    """One node's view of it; `Node.serves` is kept here."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.lease_until_ns = 0
        """Monotonic; FOREVER_NS for a node that is alone."""
        self._clock_ns = 0
        """When reads were told the time last."""
        self.standing: Permission | None = None
        """What a node that is alone may do whenever it is asked, since nobody else can lead."""
        self._led = (NO_NODE, Term(0))
        """Who led when it was last looked at, and in which term."""
        self._telling = Timer(lambda: None)

    def follow(self) -> None:
        """Look at who leads, and whether this node serves data."""
        node = self._node
        if node.loading:
            return
        raft = node.shard.raft
        led = (raft.leader_id, raft.term)
        if led != self._led:
            before, self._led = self._led, led
            self._changed(*before)
        leader = raft.leader
        serves = leader is not None and leader.transferee == NO_NODE and node.shard.applied.index >= leader.first_index
        self.lease_until_ns = FOREVER_NS if raft.is_alone else raft.lease_until_ms * 1_000_000
        if serves and self.lease_until_ns < FOREVER_NS:
            serves = node.clock.monotonic_ns() < self.lease_until_ns
        self.standing = Permission.LEADER if serves and raft.is_alone else None
        if serves != node.serves:
            node.serves = serves
            if serves:
                node.shard.present.set_clock(node.clocks.now_ms())
        node.forwarding.step()

    def permission(self) -> Permission | None:
        """The right by which this node, which leads, executes what was read before now; None if it does not serve."""
        node = self._node
        if not node.serves:
            return None
        now_ns = node.clock.monotonic_ns()
        if now_ns >= self.lease_until_ns:
            self.follow()
        if now_ns - self._clock_ns >= CLOCK_NS:
            self._clock_ns = now_ns
            node.shard.present.set_clock(node.clocks.now_ns(now_ns) // 1_000_000)
        return Permission.LEADER if node.serves else None

    def hold_commit(self) -> None:
        """Writes come one after the other: followers hear of what is committed with the next ones."""
        node = self._node
        raft = node.shard.raft
        raft.hold_commit()
        self._telling.cancel()
        self._telling = node.timers.at(node.clock.monotonic_ns() + HOLD_NS, raft.tell_commit)

    def hand_over(self, raft: RaftNode, to: NodeId) -> None:
        """Have another member lead a group. Raises RaftError.

        What came in before is proposed before, since Raft takes nothing more; what comes in from now on is held for the
        successor.
        """
        self._node.propose(everything=True)
        raft.transfer_leader(to)
        self.follow()

    def give_up(self) -> None:
        """Hand over whatever is led here to whoever has most of it, if somebody can take over."""
        for raft in (self._node.shard.raft, self._node.config.raft):
            if heirs := self.heirs(raft):
                with suppress(RaftError):
                    self.hand_over(raft, max(heirs)[1])

    def heirs(self, raft: RaftNode) -> list[tuple[int, NodeId]]:
        """The members that a group, which is led here, can be handed over to: how much of its log each has, and who."""
        leader = raft.leader
        if leader is None:
            return []
        return [
            (progress.match, node)
            for node, progress in leader.followers.items()
            if progress.state is ProgressState.REPLICATE and raft.conf.is_voter(node) and self._node.peers.linked(node)
        ]

    def _changed(self, before: NodeId, term: Term) -> None:
        node = self._node
        leader_id = self._led[0]
        log.info("term %d: %s", self._led[1], f"node {leader_id} leads" if leader_id else "nobody leads yet")
        if before == node.id:
            node.serves = False
            self.standing = None
            node.deliver(node.shard.fail_in_flight())
            node.blocking.leadership_lost()
            node.forwarding.leadership_lost()
            node.watches.leadership_lost()
            node.reads.leadership_lost()
            node.waits.leadership_lost()
            node.guests.leadership_lost()
        elif before != NO_NODE:
            node.forwarding.leads_no_more(before)
            node.reads.lost(before)
        if leader_id == node.id:
            node.clocks.lead()
            node.blocking.clear()
            self._follow_databases()
            if self._thresholds() != node.shard.keyspace.thresholds:
                self.follow_thresholds()

    def follow_thresholds(self) -> None:
        """Where the larger encodings of collections begin is replicated, and the leader's settings count."""
        node = self._node
        if self._led[0] == node.id:
            command = node.table.find(b"redraft|thresholds")
            assert command is not None
            argv = [b"REDRAFT", b"THRESHOLDS", *(b"%d" % limit for limit in structs.astuple(self._thresholds()))]
            node.shard.add_write(None, command, argv, 0)

    def _thresholds(self) -> Thresholds:
        settings = self._node.settings
        return Thresholds(*(getattr(settings, name) for name in Thresholds.__struct_fields__))

    def _follow_databases(self) -> None:
        """The number of databases is replicated, and the leader's setting counts."""
        node = self._node
        if node.settings.databases != node.shard.keyspace.limit:
            command = node.table.find(b"redraft|databases")
            assert command is not None
            node.shard.add_write(None, command, [b"REDRAFT", b"DATABASES", b"%d" % node.settings.databases], 0)
