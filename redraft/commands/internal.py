"""Commands that nodes put into the log by themselves. They are safe for anybody to send.

A blocking command stands in the log behind a REDRAFT WAITER that names it, so that REDRAFT UNBLOCK can end its wait.
"""

from __future__ import annotations

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.resp.reply import NIL_ARRAY, OK, Status

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


@command(
    "REDRAFT WAITER", 3, "write admin", group="server", since="7.0.0",
    summary="Name the wait of the next command of the same log entry, if it blocks",
)  # fmt: skip
def waiter(context: Context, argv: list[bytes]) -> Status:
    context.waiter_token = parse.positive(argv[2])
    return OK


@command(
    "REDRAFT UNBLOCK", -3, "write admin", group="server", since="7.0.0",
    summary="End a wait, by its name, as if its time were over or with an error; or ALL of them",
)  # fmt: skip
def unblock(context: Context, argv: list[bytes]) -> int:
    reply = CommandError(errors.UNBLOCKED) if argv[3:] == [b"ERROR"] else NIL_ARRAY
    waiters = context.keyspace.waiters.replicated()
    tokens = [each.token for each in waiters] if argv[2] == b"ALL" else [parse.positive(argv[2])]
    ended = [token for token in tokens if context.keyspace.remove_waiter(token) is not None]
    context.served += [(token, reply) for token in ended]
    return len(ended)
