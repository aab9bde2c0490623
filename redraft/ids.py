"""The numbers that every floor passes about, each with a type of its own so that they cannot be mixed up.

All are plain integers at run time. `NodeId` 0 and `Index` 0 mean "none"; a log's first entry has index 1.
"""

from __future__ import annotations

from typing import NewType

NodeId = NewType("NodeId", int)
GroupId = NewType("GroupId", int)
Index = NewType("Index", int)
Term = NewType("Term", int)
Slot = NewType("Slot", int)

NO_NODE = NodeId(0)
CONFIG_GROUP = GroupId(0)
"""The group whose state machine is the cluster's config table (design section 9)."""
FIRST_SHARD_GROUP = GroupId(1)
"""The one data shard of a cluster that has not been split."""

SLOT_COUNT = 16384
"""Hash slots of a cluster, as in Redis Cluster."""
