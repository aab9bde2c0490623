"""Every command, data and session: importing this module fills `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands.all import TABLE
from redraft.node.families import connection, transactions

FAMILIES = (connection, transactions)

__all__ = ["FAMILIES", "TABLE"]
