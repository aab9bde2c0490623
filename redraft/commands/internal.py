"""Commands that nodes put into the log by themselves. They are safe for anybody to send."""

from __future__ import annotations

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command, container
from redraft.resp.reply import OK, Status

MAX_DATABASES = 1 << 20

container("REDRAFT", -2, group="server", since="7.0.0", acl="admin dangerous", summary="What only redraft has")


@command(
    "REDRAFT REAP", 3, "write admin", group="server", since="7.0.0",
    summary="Remove keys of the selected database whose time to live is over", complexity="O(N) with N keys removed",
)  # fmt: skip
def reap(context: Context, argv: list[bytes]) -> int:
    return context.db.reap(context.now_ms, parse.positive(argv[2]))


@command(
    "REDRAFT DATABASES", 3, "write admin", group="server", since="7.0.0",
    summary="Let commands name so many databases (the leader does it when its configuration says another number)",
)  # fmt: skip
def databases(context: Context, argv: list[bytes]) -> Status:
    limit = parse.integer_in(argv[2], 1, MAX_DATABASES, errors.OUT_OF_RANGE)
    context.keyspace.set_limit(limit)
    return OK
