"""Every family of commands: importing this module fills `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands.table import TABLE

__all__ = ["TABLE"]
