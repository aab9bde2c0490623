"""Every family of commands: importing this module fills `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands import internal
from redraft.commands.table import TABLE

FAMILIES = (internal,)

__all__ = ["FAMILIES", "TABLE"]
