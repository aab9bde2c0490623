"""Strings: GET and SET in all their forms, and ranges (Redis: t_string.c). Numbers are in `commands.counters`.

A value is `bytes`, or a `bytearray` once APPEND or SETRANGE changed it in place; a reply is always `bytes`, since the
value may change again before the reply is encoded.
"""

from __future__ import annotations

from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.expiry import expire_options, seconds_or_ms
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import OK
from redraft.values.value import StringValue

MAX_STRING_BYTES = 512 * 1024 * 1024
"""The longest string. A constant, not `proto-max-bulk-len`: what the log's commands do must not depend on the
configuration of the moment, or a replay could end differently."""


def _immutable(value: StringValue | None) -> bytes | None:
    return value if value is None or type(value) is bytes else bytes(value)


# Whole values.


@command(
    "GET", 2, "readonly fast", group="string", since="1.0.0", summary="Get a key's string",
    keys=(1, 1, 1), access="RO access", acl="string",
)  # fmt: skip
def get(context: Context, argv: list[bytes]) -> Any:
    value = context.db.get(argv[1], context.now_ms)
    if type(value) is bytes or value is None:
        return value
    return _immutable(context.string(argv[1]))


def set_run(context: Context, argvs: list[list[bytes]]) -> list[Any] | None:
    """SETs in a row, unless one has options."""
    for argv in argvs:
        if len(argv) != 3:
            return None
    context.db.replace_all([argv[1] for argv in argvs], [argv[2] for argv in argvs])
    return [OK] * len(argvs)


@command(
    "SET", -3, "write denyoom", group="string", since="1.0.0", summary="Set a key to a string",
    keys=(1, 1, 1), access="RW access update variable_flags", acl="string", run=set_run,
)  # fmt: skip
def set_(context: Context, argv: list[bytes]) -> Any:
    if len(argv) == 3:
        context.db.replace(argv[1], argv[2])
        return OK
    key = argv[1]
    options = expire_options(argv, 3, {b"nx", b"xx", b"get", b"keepttl"})
    deadline_ms = options.deadline_ms(context, argv[0])
    old = _immutable(context.owned_string(key)) if b"get" in options.words else None
    found = context.exists(key)
    if (b"nx" in options.words and found) or (b"xx" in options.words and not found):
        return old
    if b"keepttl" in options.words:
        context.db.drop_if_due(key, context.now_ms)
        context.db.put(key, argv[2])
    else:
        context.db.replace(key, argv[2])
        if deadline_ms is not None:
            context.db.set_deadline(key, deadline_ms)
    return old if b"get" in options.words else OK


@command(
    "SETNX", 3, "write denyoom fast", group="string", since="1.0.0", summary="Set a key that does not exist yet",
    keys=(1, 1, 1), access="OW insert", acl="string",
)  # fmt: skip
def setnx(context: Context, argv: list[bytes]) -> Any:
    if context.exists(argv[1]):
        return 0
    context.db.replace(argv[1], argv[2])
    return 1


@command(
    "SETEX", 4, "write denyoom", group="string", since="2.0.0", summary="Set a key and its time to live in seconds",
    keys=(1, 1, 1), access="OW update", acl="string",
)  # fmt: skip
def setex(context: Context, argv: list[bytes]) -> Any:
    return _set_with_ttl(context, argv, 1000)


@command(
    "PSETEX", 4, "write denyoom", group="string", since="2.6.0", acl="string",
    summary="Set a key and its time to live in milliseconds", keys=(1, 1, 1), access="OW update",
)  # fmt: skip
def psetex(context: Context, argv: list[bytes]) -> Any:
    return _set_with_ttl(context, argv, 1)


def _set_with_ttl(context: Context, argv: list[bytes], unit_ms: int) -> Any:
    deadline_ms = seconds_or_ms(context, argv[0], argv[2], unit_ms, relative=True)
    context.db.replace(argv[1], argv[3])
    context.db.set_deadline(argv[1], deadline_ms)
    return OK


@command(
    "GETSET", 3, "write denyoom fast", group="string", since="1.0.0", summary="Set a key and answer what it was",
    keys=(1, 1, 1), access="RW access update", acl="string",
)  # fmt: skip
def getset(context: Context, argv: list[bytes]) -> Any:
    old = _immutable(context.string(argv[1]))
    context.db.replace(argv[1], argv[2])
    return old


@command(
    "GETDEL", 2, "write fast", group="string", since="6.2.0", summary="Get a key's string and delete the key",
    keys=(1, 1, 1), access="RW access delete", acl="string",
)  # fmt: skip
def getdel(context: Context, argv: list[bytes]) -> Any:
    old = _immutable(context.string(argv[1]))
    context.delete(argv[1])
    return old


@command(
    "GETEX", -2, "write fast", group="string", since="6.2.0", summary="Get a key's string and change its time to live",
    keys=(1, 1, 1), access="RW access update", acl="string",
)  # fmt: skip
def getex(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    options = expire_options(argv, 2, {b"persist"})
    value = _immutable(context.owned_string(key))
    if value is None:
        return None
    deadline_ms = options.deadline_ms(context, argv[0])
    if deadline_ms is not None:
        if options.absolute and deadline_ms <= context.now_ms:
            context.delete(key)
        else:
            context.db.set_deadline(key, deadline_ms)
    elif b"persist" in options.words and context.db.deadline(key) is not None:
        context.db.set_deadline(key, None)
    return value


@command(
    "MGET", -2, "readonly fast", group="string", since="1.0.0", summary="Get the strings of several keys",
    complexity="O(N) where N is the number of keys to retrieve.", keys=(1, -1, 1), access="RO access", acl="string",
    tips=("request_policy:multi_shard",),
)  # fmt: skip
def mget(context: Context, argv: list[bytes]) -> Any:
    values = [context.get(key) for key in argv[1:]]
    return [bytes(value) if isinstance(value, (bytes, bytearray)) else None for value in values]


@command(
    "MSET", -3, "write denyoom", group="string", since="1.0.1", summary="Set several keys",
    complexity="O(N) where N is the number of keys to set.", keys=(1, -1, 2), access="OW update", acl="string",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)  # fmt: skip
def mset(context: Context, argv: list[bytes]) -> Any:
    if len(argv) % 2 == 0:
        raise errors.wrong_arity("mset")
    context.db.replace_all(argv[1::2], argv[2::2])
    # Each key counts, as in Redis: then it is the same whether SETs are executed or the MSET that is logged for them.
    context.keyspace.changes += len(argv) // 2 - 1
    return OK


@command(
    "MSETNX", -3, "write denyoom", group="string", since="1.0.1", summary="Set several keys if none of them exists",
    complexity="O(N) where N is the number of keys to set.", keys=(1, -1, 2), access="OW insert", acl="string",
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
)  # fmt: skip
def msetnx(context: Context, argv: list[bytes]) -> Any:
    if len(argv) % 2 == 0:
        raise errors.wrong_arity("msetnx")
    if any(context.exists(key) for key in argv[1::2]):
        return 0
    mset(context, argv)
    return 1


# Parts of values.


@command(
    "APPEND", 3, "write denyoom fast", group="string", since="2.0.0", summary="Add to the end of a key's string",
    complexity="O(1). The amortized time is O(1): the string is extended in place.",
    keys=(1, 1, 1), access="RW insert", acl="string",
)  # fmt: skip
def append(context: Context, argv: list[bytes]) -> Any:
    key, tail = argv[1], argv[2]
    value = context.owned_string(key)
    if value is None:
        context.db.put(key, tail)
        return len(tail)
    _check_length(len(value) + len(tail))
    buffer = own_buffer(context, key, value)
    buffer += tail
    return len(buffer)


@command(
    "STRLEN", 2, "readonly fast", group="string", since="2.2.0", summary="Get the length of a key's string",
    keys=(1, 1, 1), access="RO", acl="string",
)  # fmt: skip
def strlen(context: Context, argv: list[bytes]) -> Any:
    return len(context.string(argv[1]) or b"")


@command(
    "GETRANGE", 4, "readonly", group="string", since="2.4.0", summary="Get a part of a key's string",
    complexity="O(N) where N is the length of the returned string.", keys=(1, 1, 1), access="RO access", acl="string",
)  # fmt: skip
def getrange(context: Context, argv: list[bytes]) -> Any:
    start, end = parse.integer(argv[2]), parse.integer(argv[3])
    value = context.string(argv[1]) or b""
    size = len(value)
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(start + size, 0) if start < 0 else start
    end = max(end + size, 0) if end < 0 else min(end, size - 1)
    return bytes(value[start : end + 1]) if start <= end else b""


@command(
    "SUBSTR", 4, "readonly", group="string", since="1.0.0", summary="Get a part of a key's string (now GETRANGE)",
    complexity="O(N) where N is the length of the returned string.", keys=(1, 1, 1), access="RO access", acl="string",
)  # fmt: skip
def substr(context: Context, argv: list[bytes]) -> Any:
    return getrange(context, argv)


@command(
    "SETRANGE", 4, "write denyoom", group="string", since="2.2.0", summary="Overwrite a part of a key's string",
    complexity="O(M) where M is the length of the value.", keys=(1, 1, 1), access="RW update", acl="string",
)  # fmt: skip
def setrange(context: Context, argv: list[bytes]) -> Any:
    key, part = argv[1], argv[3]
    offset = parse.integer(argv[2])
    if offset < 0:
        raise CommandError(errors.OFFSET_OUT_OF_RANGE)
    value = context.owned_string(key)
    if not part:
        return len(value or b"")
    end = offset + len(part)
    _check_length(end)
    if value is None:
        context.db.put(key, bytearray(offset) + part)
        return end
    buffer = own_buffer(context, key, value)
    if len(buffer) < offset:
        buffer.extend(bytes(offset - len(buffer)))
    buffer[offset:end] = part
    return len(buffer)


def _check_length(size: int) -> None:
    if size > MAX_STRING_BYTES:
        raise CommandError(errors.STRING_TOO_LONG)


def own_buffer(context: Context, key: bytes, value: StringValue) -> bytearray:
    """The key's string, to be changed in place."""
    if isinstance(value, bytearray):
        context.db.mutable(key, context.now_ms)
        return value
    buffer = bytearray(value)
    context.db.put(key, buffer)
    return buffer
