"""A version that is to come: it knows one feature level more than this one, and a command that came with it."""

from __future__ import annotations

from redraft.commands.context import Context
from redraft.commands.table import Command, CommandTable, Reply
from redraft.levels import NEWEST
from redraft.node.families.all import TABLE
from redraft.resp.reply import OK

NEWER = NEWEST + 1


def _set_newer(context: Context, argv: list[bytes]) -> Reply:
    context.db.replace(argv[1], argv[2])
    return OK


def commands_of(level: int) -> CommandTable:
    """The commands of a version that knows feature levels up to `level`."""
    if level < NEWER:
        return TABLE
    table = CommandTable(TABLE)
    table.add(
        Command(
            "setnewer", _set_newer, 3, frozenset({"write"}), "string", "99.0.0", "SET, as it will be", first_key=1,
            last_key=1, key_step=1, key_access="OW update", categories=frozenset({"string"}), level=NEWER,
        )
    )  # fmt: skip
    return table
