"""Every command, data and session: importing this module fills `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands.all import TABLE
from redraft.node.families import (
    acl,
    client,
    cluster,
    cluster_compat,
    config,
    connection,
    debug,
    info,
    introspection,
    memory,
    observation,
    peers,
    scripting,
    server,
    transactions,
    waiting,
)

FAMILIES = (
    acl, client, cluster, cluster_compat, config, connection, debug, info, introspection, memory, observation, peers,
    scripting, server, transactions, waiting,
)  # fmt: skip

__all__ = ["FAMILIES", "TABLE"]
