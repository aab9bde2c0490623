"""Transactions: MULTI EXEC DISCARD WATCH UNWATCH (Redis: multi.c).

A transaction's writes are one run in one log entry, so they are applied all together or not at all; see
`node.watches` for how WATCH decides.
"""

from __future__ import annotations

from typing import Any

from redraft.commands import errors
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.node.context import SessionContext
from redraft.resp.reply import OK

_FLAGS = "noscript loading stale fast allow_busy"


@command(
    "MULTI", 1, _FLAGS, group="transactions", since="1.2.0", acl="transaction",
    summary="Queue the commands that follow, to be executed together",
)  # fmt: skip
def multi(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    if session.multi is not None:
        raise CommandError(errors.NESTED_MULTI)
    session.multi = []
    session.multi_failed = False
    session.refresh_plain()
    return OK


@command(
    "EXEC", 1, "noscript loading stale skip_slowlog", group="transactions", since="1.2.0", acl="transaction",
    summary="Execute the queued commands, unless a watched key was changed",
    complexity="Depends on commands in the transaction",
)  # fmt: skip
def exec_(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.router.execute(context.session, context.permission)


@command(
    "DISCARD", 1, _FLAGS, group="transactions", since="2.0.0", acl="transaction",
    summary="Forget the queued commands", complexity="O(N), when N is the number of queued commands",
)  # fmt: skip
def discard(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    if session.multi is None:
        raise CommandError(errors.DISCARD_WITHOUT_MULTI)
    session.multi = None
    session.multi_failed = False
    context.node.unwatch(session)
    session.refresh_plain()
    return OK


@command(
    "WATCH", -2, _FLAGS, group="transactions", since="2.2.0", acl="transaction", keys=(1, -1, 1), access="RO",
    summary="Make the next EXEC fail if one of the keys is changed before it", complexity="O(1) for every key.",
)  # fmt: skip
def watch(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    if session.multi is not None:
        raise CommandError(errors.WATCH_INSIDE_MULTI)
    node = context.node
    if not session.watch_dirty:
        for key in argv[1:]:
            node.watches.watch(session, session.database, key, node.state_ms, node.shard.unapplied())
    return OK


@command(
    "UNWATCH", 1, _FLAGS, group="transactions", since="2.2.0", acl="transaction",
    summary="Watch no key any more",
)  # fmt: skip
def unwatch(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.watches.unwatch(context.session)
    return OK
