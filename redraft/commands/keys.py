"""Keys of whatever type: deleting, renaming, copying, looking through them (Redis: db.c).

Since keys are ordered, `SCAN 0 MATCH user:*` and `KEYS user:*` walk only what begins with `user:`; and SCAN answers
keys in order, each at most once unless it was deleted and set again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.keyspace import glob
from redraft.keyspace.database import Database
from redraft.resp.reply import OK, Status
from redraft.values import codec
from redraft.values.value import AnyValue

RANDOM_KEY_TRIES = 100
"""Keys that RANDOMKEY draws before it takes the first one that is not due: nearly all are, until they are reaped."""
SCAN_DEFAULT_COUNT = 10

_MULTI_SHARD = ("request_policy:multi_shard", "response_policy:agg_sum")
_FIRST_DB = "ERR invalid first DB index"
_SECOND_DB = "ERR invalid second DB index"


@command(
    "DEL", -2, "write", group="generic", since="1.0.0", summary="Delete keys",
    complexity="O(N) where N is the number of keys; a large collection is freed in the background.",
    keys=(1, -1, 1), access="RM delete", acl="keyspace", tips=_MULTI_SHARD,
)  # fmt: skip
def del_(context: Context, argv: list[bytes]) -> Any:
    delete = context.delete
    return sum([delete(key) for key in argv[1:]])


@command(
    "UNLINK", -2, "write fast", group="generic", since="4.0.0", summary="Delete keys (DEL does the same here)",
    complexity="O(1) for each key.", keys=(1, -1, 1), access="RM delete", acl="keyspace", tips=_MULTI_SHARD,
)  # fmt: skip
def unlink(context: Context, argv: list[bytes]) -> Any:
    return del_(context, argv)


@command(
    "EXISTS", -2, "readonly fast", group="generic", since="1.0.0", summary="Count the given keys that exist",
    complexity="O(N) where N is the number of keys to check.",
    keys=(1, -1, 1), access="RO", acl="keyspace", tips=_MULTI_SHARD,
)  # fmt: skip
def exists(context: Context, argv: list[bytes]) -> Any:
    return sum([context.exists(key) for key in argv[1:]])


@command(
    "TOUCH", -2, "readonly fast", group="generic", since="3.2.1", summary="Count the given keys that exist",
    complexity="O(N) where N is the number of keys to check.",
    keys=(1, -1, 1), access="RO", acl="keyspace", tips=_MULTI_SHARD,
)  # fmt: skip
def touch(context: Context, argv: list[bytes]) -> Any:
    return exists(context, argv)


@command(
    "TYPE", 2, "readonly fast", group="generic", since="1.0.0", summary="Tell the type of a key's value",
    keys=(1, 1, 1), access="RO", acl="keyspace",
)  # fmt: skip
def type_(context: Context, argv: list[bytes]) -> Any:
    value = context.get(argv[1])
    return Status(b"none" if value is None else codec.type_name(value))


@command(
    "DBSIZE", 1, "readonly fast", group="server", since="1.0.0", acl="keyspace",
    summary="Count the keys of the selected database", tips=("request_policy:all_shards", "response_policy:agg_sum"),
)  # fmt: skip
def dbsize(context: Context, argv: list[bytes]) -> Any:
    return len(context.db)


# Renaming, copying, moving.


def _set(db: Database, key: bytes, value: AnyValue, deadline_ms: int | None) -> None:
    db.replace(key, value)
    if deadline_ms is not None:
        db.set_deadline(key, deadline_ms)


def _rename(context: Context, source: bytes, target: bytes, *, overwrite: bool) -> bool:
    value = context.get(source)
    if value is None:
        raise CommandError(errors.NO_SUCH_KEY)
    if source == target:
        return overwrite
    if context.exists(target):
        if not overwrite:
            return False
        context.delete(target)
    deadline_ms = context.db.deadline(source)
    context.db.take(source)
    _set(context.db, target, value, deadline_ms)
    return True


@command(
    "RENAME", 3, "write", group="generic", since="1.0.0", summary="Rename a key, over another if need be",
    keys=(1, 2, 1), access="RW access delete; OW update", acl="keyspace",
)  # fmt: skip
def rename(context: Context, argv: list[bytes]) -> Any:
    _rename(context, argv[1], argv[2], overwrite=True)
    return OK


@command(
    "RENAMENX", 3, "write fast", group="generic", since="1.0.0", summary="Rename a key unless the new name is taken",
    keys=(1, 2, 1), access="RW access delete; OW insert", acl="keyspace",
)  # fmt: skip
def renamenx(context: Context, argv: list[bytes]) -> Any:
    return int(_rename(context, argv[1], argv[2], overwrite=False))


@command(
    "COPY", -3, "write denyoom", group="generic", since="6.2.0", summary="Copy a key's value to another key",
    complexity="O(N) where N is the number of members of a collection, O(1) for a string.",
    keys=(1, 2, 1), access="RO access; OW update", acl="keyspace",
)  # fmt: skip
def copy(context: Context, argv: list[bytes]) -> Any:
    source, target = argv[1], argv[2]
    number = context.database
    overwrite = False
    position = 3
    while position < len(argv):
        word = argv[position].lower()
        if word == b"replace":
            overwrite = True
        elif word == b"db" and position + 1 < len(argv):
            position += 1
            count = context.keyspace.limit
            number = parse.database_number(argv[position], count)
        else:
            raise CommandError(errors.SYNTAX)
        position += 1
    if number == context.database and source == target:
        raise CommandError(errors.SAME_OBJECT)
    value = context.get(source)
    if value is None:
        return 0
    db = context.keyspace.databases[number]
    if db.exists(target, context.now_ms) and not overwrite:
        return 0
    twin: AnyValue = value if isinstance(value, bytes) else value.copy()
    _set(db, target, twin, context.db.deadline(source))
    return 1


@command(
    "MOVE", 3, "write fast", group="generic", since="1.0.0", summary="Move a key to another database",
    keys=(1, 1, 1), access="RW access update", acl="keyspace",
)  # fmt: skip
def move(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    count = context.keyspace.limit
    number = parse.database_number(argv[2], count)
    if number == context.database:
        raise CommandError(errors.SAME_OBJECT)
    target = context.keyspace.databases[number]
    value = context.get(key)
    if value is None or target.exists(key, context.now_ms):
        return 0
    deadline_ms = context.db.deadline(key)
    context.db.take(key)
    _set(target, key, value, deadline_ms)
    return 1


# Whole databases.


@command(
    "FLUSHDB", -1, "write", group="server", since="1.0.0", acl="keyspace dangerous",
    summary="Delete all keys of the selected database", complexity="O(1); memory is freed in the background.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def flushdb(context: Context, argv: list[bytes]) -> Any:
    _check_flush(argv)
    context.keyspace.flush_database(context.database)
    context.select(context.database)
    return OK


@command(
    "FLUSHALL", -1, "write", group="server", since="1.0.0", acl="keyspace dangerous",
    summary="Delete all keys of all databases", complexity="O(1); memory is freed in the background.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def flushall(context: Context, argv: list[bytes]) -> Any:
    _check_flush(argv)
    context.keyspace.flush_all()
    context.select(context.database)
    return OK


def _check_flush(argv: list[bytes]) -> None:
    if len(argv) > 2 or (len(argv) == 2 and argv[1].lower() not in (b"async", b"sync")):
        raise CommandError(errors.SYNTAX)


@command(
    "SWAPDB", 3, "write fast", group="server", since="4.0.0", acl="keyspace dangerous",
    summary="Exchange two databases",
)  # fmt: skip
def swapdb(context: Context, argv: list[bytes]) -> Any:
    count = context.keyspace.limit
    first = parse.integer_in(argv[1], parse.INT_MIN, parse.INT_MAX, _FIRST_DB)
    second = parse.integer_in(argv[2], parse.INT_MIN, parse.INT_MAX, _SECOND_DB)
    if not (0 <= first < count and 0 <= second < count):
        raise CommandError(errors.DB_INDEX_OUT_OF_RANGE)
    if first != second:
        context.keyspace.swap(first, second)
        context.select(context.database)
    return OK


# Looking through keys.


def _live_keys(context: Context, pattern: bytes, start: bytes | None) -> Iterator[bytes]:
    """Keys in order that begin as `pattern` does, after `start`, those that are due included."""
    prefix = glob.prefix(pattern)
    if start is None or start < prefix:
        keys = context.db.keys_from(prefix)
    else:
        keys = context.db.keys_from(start, after=True)
    for key in keys:
        if not key.startswith(prefix):
            return
        yield key


@command(
    "KEYS", 2, "readonly", group="generic", since="1.0.0", acl="keyspace dangerous",
    summary="Get all keys that match a pattern, in order",
    complexity="O(N) where N is the number of keys that begin as the pattern does up to its first wildcard.",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)  # fmt: skip
def keys(context: Context, argv: list[bytes]) -> Any:
    matches = glob.matcher(argv[1])
    found = [key for key in _live_keys(context, argv[1], None) if matches(key)]
    if context.db.deadlines:
        found = [key for key in found if context.exists(key)]
    return found


@command(
    "SCAN", -2, "readonly", group="generic", since="2.8.0", acl="keyspace",
    summary="Walk through the keys of the selected database, in order, a few at each call",
    complexity="O(COUNT) for each call, O(N) for the whole walk of the N keys that begin as the pattern does.",
    tips=("nondeterministic_output", "request_policy:special"),
)  # fmt: skip
def scan(context: Context, argv: list[bytes]) -> Any:
    cursor = parse.cursor(argv[1])
    pattern, count, wanted_type = b"*", SCAN_DEFAULT_COUNT, None
    for position in range(2, len(argv), 2):
        word = argv[position].lower()
        if position + 1 == len(argv):
            raise CommandError(errors.SYNTAX)
        if word == b"match":
            pattern = argv[position + 1]
        elif word == b"count":
            count = parse.integer(argv[position + 1])
            if count < 1:
                raise CommandError(errors.SYNTAX)
        elif word == b"type":
            wanted_type = argv[position + 1].lower()
        else:
            raise CommandError(errors.SYNTAX)
    start = context.cursors.position(cursor) if cursor else None
    matches = glob.matcher(pattern)
    found: list[bytes] = []
    keys_from_here = _live_keys(context, pattern, start if isinstance(start, bytes) else None)
    last = b""
    for looked_at, key in enumerate(keys_from_here):
        if looked_at == count:
            return [b"%d" % context.cursors.remember(last), found]
        if matches(key) and _is_of_type(context, key, wanted_type):
            found.append(key)
        last = key
    return [b"0", found]


def _is_of_type(context: Context, key: bytes, wanted: bytes | None) -> bool:
    value = context.get(key)
    return value is not None and (wanted is None or codec.type_name(value) == wanted)


@command(
    "RANDOMKEY", 1, "readonly", group="generic", since="1.0.0", acl="keyspace",
    summary="Get a key at random", tips=("request_policy:all_shards", "nondeterministic_output"),
)  # fmt: skip
def randomkey(context: Context, argv: list[bytes]) -> Any:
    for _ in range(RANDOM_KEY_TRIES):
        key = context.db.random_key(context.random)
        if key is None or context.exists(key):
            return key
    return next(filter(context.exists, context.db.keys_from(b"")), None)
