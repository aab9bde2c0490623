"""WAIT and WAITAOF: whether other nodes have a client's writes (Redis: replication.c). See node/waits.py."""

from __future__ import annotations

from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.node.context import SessionContext
from redraft.node.waits import Wanted

_TIMEOUT_NOT_AN_INTEGER = "ERR timeout is not an integer or out of range"
_NOT_ALWAYS = "ERR WAITAOF cannot be used when numlocal is set but appendfsync is not always."


def _timeout_ms(word: bytes) -> int:
    timeout = parse.integer(word, _TIMEOUT_NOT_AN_INTEGER)
    if timeout < 0:
        raise CommandError(errors.TIMEOUT_NEGATIVE)
    return timeout


def _wait(context: SessionContext, wanted: Wanted, timeout_ms: int) -> Any:
    waits = context.node.waits
    if context.in_transaction:
        return wanted.reply(waits.durable(wanted.write_index))
    return waits.wait(context.session, wanted, timeout_ms)


@command(
    "WAIT", 3, "noscript", group="generic", since="3.0.0", acl="connection",
    summary="Wait until so many other nodes have the connection's writes on disk; tell how many have",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)  # fmt: skip
def wait(context: SessionContext, argv: list[bytes]) -> Any:
    others = parse.integer(argv[1])
    timeout_ms = _timeout_ms(argv[2])
    return _wait(context, Wanted(context.session.write_index, 0, others, lambda durable: durable.others), timeout_ms)


@command(
    "WAITAOF", 4, "noscript", group="generic", since="7.2.0", acl="connection",
    summary="Wait until the leader and so many other nodes have the connection's writes on disk; tell how many have",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)  # fmt: skip
def waitaof(context: SessionContext, argv: list[bytes]) -> Any:
    here = parse.integer_in(argv[1], 0, 1, errors.OUT_OF_RANGE)
    others = parse.integer_in(argv[2], 0, INT64_MAX, errors.MUST_BE_POSITIVE)
    timeout_ms = _timeout_ms(argv[3])
    if here and context.node.settings.appendfsync != "always":
        raise CommandError(_NOT_ALWAYS)
    return _wait(context, Wanted(context.session.write_index, here, others, list), timeout_ms)
