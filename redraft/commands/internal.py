"""The log's own words: commands that nodes put there by themselves. To clients they do not exist, on whatever road they
come (`CommandTable.lookup`), since they would end others' waits or make room for a million databases.

A blocking command stands in the log behind a REDRAFT WAITER that names it, so that REDRAFT UNBLOCK can end its wait.
"""

from __future__ import annotations

from functools import partial

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import Reply, command, container
from redraft.errors import CommandError
from redraft.resp.reply import NIL_ARRAY, OK, Status
from redraft.values.thresholds import IN_FORCE, Thresholds

MAX_DATABASES = 1 << 20

ALL_WAITS = 0
"""Stands among the waits that have ended for: all that began before the term that is its reply."""
_ENDINGS = {
    b"TIMEOUT": NIL_ARRAY,
    b"ERROR": CommandError(errors.UNBLOCKED),
    b"CHANGE": CommandError(errors.UNBLOCKED_BY_CHANGE),
}

container("REDRAFT", -2, group="server", since="7.0.0", acl="admin dangerous", summary="What only redraft has")
_word = partial(command, flags="write admin", group="server", since="7.0.0", internal=True)


@_word(
    "REDRAFT REAP", 3,
    summary="Remove keys of the selected database whose time to live is over", complexity="O(N) with N keys removed",
)  # fmt: skip
def reap(context: Context, argv: list[bytes]) -> int:
    return context.db.reap(context.now_ms, parse.positive(argv[2]))


@_word(
    "REDRAFT DATABASES", 3,
    summary="Let commands name so many databases (the leader does it when its configuration says another number)",
)  # fmt: skip
def databases(context: Context, argv: list[bytes]) -> Status:
    limit = parse.integer_in(argv[2], 1, MAX_DATABASES, errors.OUT_OF_RANGE)
    context.keyspace.set_limit(limit)
    return OK


@_word(
    "REDRAFT THRESHOLDS", 2 + len(Thresholds.__struct_fields__),
    summary="Up to which sizes collections have their smaller encodings (the leader does it when its configuration"
    " says otherwise)",
)  # fmt: skip
def thresholds(context: Context, argv: list[bytes]) -> Status:
    context.keyspace.thresholds = Thresholds(*map(parse.positive, argv[2:]))
    IN_FORCE.adopt(context.keyspace.thresholds)
    return OK


@_word(
    "REDRAFT WAITER", 3,
    summary="Name the wait of the next command of the same log entry, if it blocks",
)  # fmt: skip
def waiter(context: Context, argv: list[bytes]) -> Status:
    context.waiter_token = parse.positive(argv[2])
    return OK


@_word(
    "REDRAFT UNBLOCK", -3,
    summary="End a wait, by its name, as if its time were over or with an error; or ALL that began before a term",
)  # fmt: skip
def unblock(context: Context, argv: list[bytes]) -> int:
    waiters = context.keyspace.waiters
    before: list[tuple[int, Reply]] = []
    if argv[2] == b"ALL":
        before = [(ALL_WAITS, parse.positive(argv[3]) if len(argv) > 3 else 0)]
        ended = [each.token for each in waiters.replicated()]
        reply: Reply = CommandError(errors.UNBLOCKED_BY_CHANGE)
    else:
        ended = [token] if (token := parse.positive(argv[2])) in waiters.by_token else []
        reply = _ENDINGS.get(argv[3] if len(argv) > 3 else b"TIMEOUT", NIL_ARRAY)
    for token in ended:
        context.keyspace.remove_waiter(token)
    context.served += [(token, reply) for token in ended] + before
    return len(ended)
