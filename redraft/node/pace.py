"""The times that Raft goes by: how they follow from the settings, also while these change, and where nodes differ.

Leases are safe whatever each node's settings are, since every answer to a leader tells how long it promises (see
`raft.leader`). But they are as short as the shortest promises of a majority. So a leader says once when another node's
settings are not its own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import structs

from redraft.ids import NodeId
from redraft.raft.config import RaftConfig
from redraft.raft.messages import NOT_TOLD
from redraft.settings import Settings

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.node")

LEAST_ELECTION_TICKS = 2


def raft_config(settings: Settings, node: NodeId) -> RaftConfig:
    """What the settings say to a member of a group."""
    return RaftConfig(
        id=node,
        election_ticks=max(LEAST_ELECTION_TICKS, settings.election_timeout // settings.heartbeat_interval),
        tick_ms=settings.heartbeat_interval,
        drift_ms=settings.max_clock_drift,
        max_uncommitted_bytes=settings.max_uncommitted_bytes,
    )


class Pace:
    """The times of one node's groups."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: dict[NodeId, tuple[int, int, int, int]] = {}
        """Of which differences it was told: both promises and both drifts."""
        for option in ("election-timeout", "heartbeat-interval", "max-clock-drift", "max-uncommitted-bytes"):
            node.settings.on_change(option, self._follow)

    def _follow(self) -> None:
        """The settings have changed."""
        node = self._node
        new = raft_config(node.settings, node.id)
        for raft in (node.config.raft, node.shard.raft):
            raft.reconfigure(
                structs.replace(
                    raft.config, election_ticks=new.election_ticks, tick_ms=new.tick_ms, drift_ms=new.drift_ms,
                    max_uncommitted_bytes=new.max_uncommitted_bytes,
                )
            )  # fmt: skip

    def tick(self) -> None:
        """A Raft tick: tell of those whose settings are not this node's, each difference once."""
        raft = self._node.shard.raft
        if raft.leader is None:
            return
        own_ms, own_drift_ms = raft.config.promise_ms, raft.config.drift_ms
        for peer, progress in raft.leader.followers.items():
            difference = (progress.promise_ms, own_ms, progress.drift_ms, own_drift_ms)
            if progress.promise_ms == NOT_TOLD or (difference[0] == own_ms and difference[2] == own_drift_ms):
                self._told.pop(peer, None)
            elif self._told.get(peer) != difference:
                self._told[peer] = difference
                log.warning(
                    "node %d keeps to its leader for %d ms, this node for %d, by a clock drift of %d and %d ms: give"
                    " all nodes the same election-timeout, heartbeat-interval and max-clock-drift",
                    peer, *difference,
                )  # fmt: skip
