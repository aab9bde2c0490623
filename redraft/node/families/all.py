"""Every command, data and session: importing this module fills `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands.all import TABLE
from redraft.node.families import (
    client,
    config,
    connection,
    debug,
    info,
    introspection,
    observation,
    server,
    transactions,
)

FAMILIES = (client, config, connection, debug, info, introspection, observation, server, transactions)

__all__ = ["FAMILIES", "TABLE"]
