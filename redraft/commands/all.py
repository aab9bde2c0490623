"""Every family of data commands: importing this module declares them in `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands import expiry, hashes, internal, keys, objects, sets, strings
from redraft.commands.table import TABLE

FAMILIES = (expiry, hashes, internal, keys, objects, sets, strings)

__all__ = ["FAMILIES", "TABLE"]
