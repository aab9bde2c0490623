"""Commands that nodes put into the log by themselves. They are safe for anybody to send."""

from __future__ import annotations

from redraft.commands import parse
from redraft.commands.context import Context
from redraft.commands.table import command, container

container("REDRAFT", -2, group="server", since="7.0.0", acl="admin dangerous", summary="What only redraft has")


@command(
    "REDRAFT REAP", 3, "write admin", group="server", since="7.0.0",
    summary="Remove keys of the selected database whose time to live is over", complexity="O(N) with N keys removed",
)  # fmt: skip
def reap(context: Context, argv: list[bytes]) -> int:
    return context.db.reap(context.now_ms, parse.positive(argv[2]))
