"""DEBUG: the forms that test suites call (Redis: debug.c).

What would crash the process (SEGFAULT, PANIC …) or shows the inside of Redis's allocator is not offered.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from typing import Any

from redraft import option_kinds
from redraft.commands import errors, objects, parse
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.keyspace import glob
from redraft.keyspace.database import Database
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.session import Blocked
from redraft.resp.reply import NIL_ARRAY, OK, BigNumber, Map, SetReply, Status, Verbatim
from redraft.values import codec

log = logging.getLogger("redraft.node")

LONGEST_SLEEP_S = 86_400.0
LARGEST_PACKED_BYTES = (1 << 32) - (1 << 20)
"""Redis's bound of `quicklist-packed-threshold`."""

_sub = partial(
    command, flags="admin noscript loading stale", group="server", since="1.0.0", enabled_by="enable-debug-command"
)
_blocking = partial(_sub, flags="admin noscript loading stale no_multi")
"""Declares what blocks its session: a transaction could not wait for it."""

container(
    "DEBUG",
    -2,
    "admin noscript loading stale",
    group="server",
    since="1.0.0",
    summary="For tests of clients and servers",
)


@_blocking("DEBUG SLEEP", 3, summary="Serve nobody for some seconds")
def sleep(context: SessionContext, argv: list[bytes]) -> Any:
    node, session = context.node, context.session
    seconds = min(max(parse.floating(argv[2]), 0.0), LONGEST_SLEEP_S)
    sleeping, took_ns = node.table.find(b"debug|sleep"), int(seconds * 1e9)
    assert sleeping is not None

    def wake() -> None:
        if took_ns >= node.observer.slow_ns:
            node.observer.on_slow(session, sleeping, argv, took_ns)
        node.unblock(session, OK)

    node.pause.begin(int(seconds * 1000), writes_only=False)
    deadline_ns = node.clock.monotonic_ns() + took_ns
    node.block(session, Blocked("sleep", deadline_ns=deadline_ns, on_timeout=wake))
    return NO_REPLY


def _selected(context: SessionContext) -> Database:
    """The session's database."""
    database = context.node.shard.keyspace.maybe_database(context.session.database)
    if database is None:
        raise CommandError(errors.DB_INDEX_OUT_OF_RANGE)
    return database


@_sub("DEBUG OBJECT", 3, summary="Tell about a key's value")
def object_(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    database = _selected(context)
    value = database.get(argv[2], node.state_ms)
    if value is None:
        raise CommandError(errors.NO_SUCH_KEY)
    size = len(codec.encode(value, None)) - 1
    return Status(
        b"Value at:0x%x refcount:%d encoding:%b serializedlength:%d lru:0 lru_seconds_idle:0"
        % (id(value), objects.refcount(value), objects.encoding(value), size)
    )


@_blocking("DEBUG RELOAD", -2, summary="Write the memtable to disk and read it back")
def reload(context: SessionContext, argv: list[bytes]) -> Any:
    if any(word.lower() not in (b"nosave", b"noflush", b"merge") for word in argv[2:]):
        raise CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    return _reload(context)


@_blocking("DEBUG LOADAOF", 2, summary="Write the memtable to disk and read it back")
def loadaof(context: SessionContext, argv: list[bytes]) -> Any:
    return _reload(context)


def _reload(context: SessionContext) -> Any:
    node, session = context.node, context.session

    def flushed() -> None:
        if node.reload_keyspace():
            node.unblock(session, OK)
        else:
            node.flusher.request(flushed)

    node.block(session, Blocked("reload"))
    node.flusher.request(flushed)
    return NO_REPLY


@_sub("DEBUG SET-ACTIVE-EXPIRE", 3, summary="Have due keys removed by themselves (1) or only by writes (0)")
def set_active_expire(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.reaper.active = parse.integer(argv[2]) != 0
    return OK


@_sub("DEBUG DIGEST", 2, summary="A checksum of all keys and values; equal for equal data")
def digest(context: SessionContext, argv: list[bytes]) -> Any:
    whole = hashlib.sha1(usedforsecurity=False)
    keyspace = context.node.shard.keyspace
    for number, database in enumerate(keyspace.databases):
        for key in database.keys_from(b""):
            if database.exists(key, context.node.state_ms):
                whole.update(b"%d %d " % (number, len(key)) + key + _record(database, key))
    return Status(whole.hexdigest().encode() if keyspace.statistics()["keys"] else b"0" * 40)


@_sub("DEBUG DIGEST-VALUE", -2, summary="Checksums of the values of keys")
def digest_value(context: SessionContext, argv: list[bytes]) -> Any:
    database = _selected(context)
    return [
        Status(hashlib.sha1(_record(database, key), usedforsecurity=False).hexdigest().encode())
        if database.exists(key, context.node.state_ms)
        else Status(b"0" * 40)
        for key in argv[2:]
    ]


def _record(database: Database, key: bytes) -> bytes:
    value = database.peek(key)
    assert value is not None
    plain = bytes(value) if isinstance(value, bytearray) else value
    return codec.encode(plain, database.deadline(key))


@_sub("DEBUG LISTPACK", 3, summary="Tell whether Redis would hold a key's value in a listpack")
def listpack(context: SessionContext, argv: list[bytes]) -> Any:
    value = _selected(context).get(argv[2], context.node.state_ms)
    if value is None:
        raise CommandError(errors.NO_SUCH_KEY)
    if objects.encoding(value) != b"listpack":
        raise CommandError("ERR Not a listpack encoded object.")
    return Status(b"Listpack structure printed on stdout")


@_sub("DEBUG HTSTATS", -3, summary="Count the keys of a database, and those with a time to live")
def htstats(context: SessionContext, argv: list[bytes]) -> Any:
    keyspace = context.node.shard.keyspace
    number = parse.integer(argv[2])
    if not 0 <= number < keyspace.limit:
        raise CommandError("ERR Out of range database")
    database = keyspace.databases[number]
    text = (
        f"[Dictionary HT]\n number of elements: {len(database)}\n"
        f"[Expires HT]\n number of elements: {len(database.deadlines)}\n"
    )
    return Verbatim("txt", text.encode())


# What would change something inside Redis that is not there: accepted, since suites set it and then test what they see.


@_sub("DEBUG JMAP", 2, summary="Nothing: there is no map of memory to be written")
@_sub("DEBUG CHANGE-REPL-ID", 2, summary="Nothing: a node's history is told by its log, not by an id")
def accept(context: SessionContext, argv: list[bytes]) -> Any:
    return OK


@_sub("DEBUG QUICKLIST-PACKED-THRESHOLD", 3, summary="Nothing: lists have no packed nodes")
def quicklist_packed_threshold(context: SessionContext, argv: list[bytes]) -> Any:
    size = option_kinds.parse_memory(argv[2].decode("latin-1"))
    if size is None or size > LARGEST_PACKED_BYTES:
        raise CommandError("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
    return OK


@_sub("DEBUG REPLYBUFFER", 4, summary="Nothing: replies have no buffer of a fixed size")
def replybuffer(context: SessionContext, argv: list[bytes]) -> Any:
    if argv[2].lower() not in (b"peak-reset-time", b"resizing"):
        raise errors.wrong_subcommand(argv)
    return OK


@_sub("DEBUG STRINGMATCH-LEN", 4, summary="Match a string of `a` of the given length against a pattern")
def stringmatch_len(context: SessionContext, argv: list[bytes]) -> Any:
    length = parse.integer_in(argv[2], 0, 1 << 24, errors.OUT_OF_RANGE)
    return int(bool(glob.matcher(argv[3])(b"a" * length)))


@_sub("DEBUG ERROR", 3, summary="Answer the given error")
def error(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(argv[2].decode("latin-1"))


@_sub("DEBUG LOG", 3, summary="Write a line into the log")
def log_(context: SessionContext, argv: list[bytes]) -> Any:
    log.warning("DEBUG LOG: %s", argv[2].decode("utf-8", "backslashreplace"))
    return OK


@_sub("DEBUG PROTOCOL", 3, summary="Answer a value of the named type of the protocol")
def protocol(context: SessionContext, argv: list[bytes]) -> Any:
    kind = argv[2].lower().decode("latin-1")
    if kind not in _PROTOCOL:
        raise CommandError(
            "ERR Wrong protocol type name. Please use one of the following: "
            "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return _PROTOCOL[kind]


_PROTOCOL: dict[str, Any] = {
    "string": b"Hello World",
    "integer": 12345,
    "double": 3.141,
    "null": None,
    "nullarray": NIL_ARRAY,
    "array": [0, 1, 2],
    "set": SetReply([0, 1, 2]),
    "map": Map([(0, False), (1, True), (2, False)]),
    "bignum": BigNumber(1234567999999999999999999999999999999),
    "verbatim": Verbatim("txt", b"This is a verbatim\nstring"),
    "true": True,
    "false": False,
}
