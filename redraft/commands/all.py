"""Every family of data commands: importing this module declares them in `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands import expiry, internal, keys, objects, strings
from redraft.commands.table import TABLE

FAMILIES = (expiry, internal, keys, objects, strings)

__all__ = ["FAMILIES", "TABLE"]
