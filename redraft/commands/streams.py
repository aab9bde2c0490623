"""Streams without their groups (Redis: t_stream.c). The value is `values.stream.Stream`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import StreamsFinder
from redraft.commands.stream_arguments import BLOCKED_COUNT, addition, interval, reading, strict_id
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import NIL_ARRAY, OK, PairMap
from redraft.values.stream import Entry, Stream
from redraft.values.stream_node import MAX_ID, show_id

_ZERO_ID = "ERR The ID specified in XADD must be greater than 0-0"
_NOT_ABOVE = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"

_RANGE = "O(N) where N is the number of entries returned."
_TRIMMED = "O(N) where N is the number of entries trimmed."
_RANDOM = ("nondeterministic_output",)

_stream = partial(command, group="stream", acl="stream")
_of_one = partial(_stream, keys=(1, 1, 1))


def shown(entry: Entry) -> list[Any]:
    """An entry as replies have it."""
    return [show_id(entry[0]), list(entry[1])]


def shown_all(entries: Iterable[Entry], count: int) -> list[Any]:
    """Entries as replies have them; `count` at most, 0 for all."""
    return [shown(entry) for entry in (islice(entries, count) if count else entries)]


# Writing.


@_of_one(
    "XADD", -5, "write denyoom fast", since="5.0.0", access="RW update", tips=_RANDOM,
    complexity="O(1), and O(N) more when it trims N entries.", summary="Append an entry to a stream",
)  # fmt: skip
def xadd(context: Context, argv: list[bytes]) -> Any:
    asked = addition(argv, adds=True)
    fields = tuple(argv[asked.end + 1 :])
    if not fields or len(fields) % 2:
        raise errors.wrong_arity("xadd")
    if asked.new_id == (0, 0):
        raise CommandError(_ZERO_ID)
    stream = context.collection(argv[1], Stream)
    if stream is None and asked.only_if_there:
        return None
    last_id = 0 if stream is None else stream.last_id
    if last_id == MAX_ID:
        raise CommandError(_EXHAUSTED)
    number = asked.new_id.after(last_id, context.now_ms)
    if number <= last_id:
        raise CommandError(_NOT_ABOVE)
    stream = _written(context, argv[1])
    stream.append(number, fields)
    if asked.trim is not None:
        asked.trim.apply(stream)
    return show_id(number)


def _written(context: Context, key: bytes) -> Stream:
    stream = context.mutable(key, Stream)
    if stream is None:
        stream = Stream()
        context.db.put(key, stream)
    return stream


@_of_one(
    "XDEL", -3, "write fast", since="5.0.0", access="RW delete", complexity="O(1) for each entry.",
    summary="Delete entries of a stream by their ids",
)  # fmt: skip
def xdel(context: Context, argv: list[bytes]) -> Any:
    stream = context.collection(argv[1], Stream)
    if stream is None:
        return 0
    numbers = [strict_id(word) for word in argv[2:]]
    if all(stream.maybe_entry(number) is None for number in numbers):
        return 0
    stream = _written(context, argv[1])
    return sum([stream.delete(number) for number in numbers])


@_of_one(
    "XTRIM", -4, "write", since="5.0.0", access="RW delete", complexity=_TRIMMED, tips=_RANDOM,
    summary="Delete entries from the beginning of a stream",
)  # fmt: skip
def xtrim(context: Context, argv: list[bytes]) -> Any:
    trim = addition(argv, adds=False).trim
    assert trim is not None
    if context.collection(argv[1], Stream) is None:
        return 0
    return trim.apply(_written(context, argv[1]))


@_of_one(
    "XSETID", -3, "write denyoom fast", since="5.0.0", access="RW update",
    summary="Set the last id of a stream, and what it remembers",
)  # fmt: skip
def xsetid(context: Context, argv: list[bytes]) -> Any:
    last_id = strict_id(argv[2])
    entries_added = None
    max_deleted_id = 0
    for at in range(3, len(argv), 2):
        word = argv[at].lower()
        if at + 1 == len(argv) or word not in (b"entriesadded", b"maxdeletedid"):
            raise CommandError(errors.SYNTAX)
        if word == b"entriesadded":
            entries_added = parse.integer(argv[at + 1])
            if entries_added < 0:
                raise CommandError("ERR entries_added must be positive")
        else:
            max_deleted_id = strict_id(argv[at + 1])
            if last_id < max_deleted_id:
                raise CommandError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
    stream = context.collection(argv[1], Stream)
    if stream is None:
        raise CommandError(errors.NO_SUCH_KEY)
    if stream.size:
        if last_id < stream.top_id:
            raise CommandError("ERR The ID specified in XSETID is smaller than the target stream top item")
        if entries_added is not None and entries_added < stream.size:
            raise CommandError("ERR The entries_added specified in XSETID is smaller than the target stream length")
    stream = _written(context, argv[1])
    stream.last_id = last_id
    if entries_added is not None:
        stream.entries_added = entries_added
    if max_deleted_id:
        stream.max_deleted_id = max_deleted_id
    return OK


# Reading.


@_of_one("XLEN", 2, "readonly fast", since="5.0.0", access="RO", summary="Count the entries of a stream")
def xlen(context: Context, argv: list[bytes]) -> Any:
    stream = context.collection(argv[1], Stream)
    return 0 if stream is None else stream.size


def _range(context: Context, argv: list[bytes], first: bytes, last: bytes, *, backwards: bool) -> Any:
    start, end = interval(first, last)
    count: int | None = None
    for at in range(4, len(argv), 2):
        if argv[at].lower() != b"count" or at + 1 == len(argv):
            raise CommandError(errors.SYNTAX)
        count = max(0, parse.integer(argv[at + 1]))
    stream = context.collection(argv[1], Stream)
    if stream is None:
        return []
    if count == 0:
        return NIL_ARRAY
    return shown_all(stream.walk(start, end, backwards=backwards), count or 0)


@_of_one(
    "XRANGE", -4, "readonly", since="5.0.0", access="RO access", complexity=_RANGE,
    summary="Get the entries of a stream with ids in an interval",
)  # fmt: skip
def xrange_(context: Context, argv: list[bytes]) -> Any:
    return _range(context, argv, argv[2], argv[3], backwards=False)


@_of_one(
    "XREVRANGE", -4, "readonly", since="5.0.0", access="RO access", complexity=_RANGE,
    summary="Get the entries of a stream with ids in an interval, the last one first",
)  # fmt: skip
def xrevrange(context: Context, argv: list[bytes]) -> Any:
    return _range(context, argv, argv[3], argv[2], backwards=True)


@_stream(
    "XREAD", -4, "readonly blocking movablekeys", since="5.0.0", find_keys=StreamsFinder(1), access="RO access",
    complexity=_RANGE, summary="Get entries of several streams with ids above those given, or wait for some",
)  # fmt: skip
def xread(context: Context, argv: list[bytes]) -> Any:
    asked = reading(context, argv, in_group=False)
    found = PairMap()
    for key, after in zip(asked.keys, asked.after, strict=True):
        stream = context.collection(key, Stream)
        if stream is None or stream.top_id <= after:
            continue
        count = asked.most or (0 if context.serving is None else BLOCKED_COUNT)
        found.append((key, shown_all(stream.walk(after + 1, MAX_ID), count)))
    if found:
        return found
    if asked.block_ms is None:
        return NIL_ARRAY
    return context.wait(asked.keys, asked.argv, Stream.type_name, asked.block_ms)
