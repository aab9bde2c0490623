"""Arguments that stream commands share: ids, intervals, trimming, and what XREAD and XREADGROUP ask for."""

from __future__ import annotations

import re
from typing import NamedTuple

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.errors import CommandError
from redraft.values.stream import Stream
from redraft.values.stream_groups import Group
from redraft.values.stream_node import MASK64, MAX_ID, NODE_MAX_ENTRIES, show_id

NEW = MAX_ID + 1
"""XREADGROUP's `>`: entries that were never delivered."""
DEFAULT_TRIM_LIMIT = 100 * NODE_MAX_ENTRIES
BLOCKED_COUNT = 1000
"""Entries at most for a reader that had to wait and gave no count."""

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
_ID_CHARACTERS = 127
_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*\+?([0-9]+)\Z")
_MEANINGLESS = (
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by "
    "specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
)
_UNBALANCED = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
_ONLY_GROUPS = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."


def _unsigned(word: bytes) -> int:
    match = _UNSIGNED.match(word)
    if match is None or (number := int(match[1])) > MASK64:
        raise CommandError(INVALID_ID)
    return number


def strict_id(word: bytes, missing_sequence: int = 0) -> int:
    """An id: `ms` or `ms-seq`."""
    if len(word) > _ID_CHARACTERS:
        raise CommandError(INVALID_ID)
    milliseconds, dash, sequence = word.partition(b"-")
    return _unsigned(milliseconds) << 64 | (_unsigned(sequence) if dash else missing_sequence)


def any_id(word: bytes, missing_sequence: int = 0) -> int:
    """An id, or `-` and `+` for the lowest and the highest."""
    if word == b"-":
        return 0
    return MAX_ID if word == b"+" else strict_id(word, missing_sequence)


def interval(first: bytes, last: bytes) -> tuple[int, int]:
    """The lowest and the highest id of an interval; `(` before an end excludes it."""
    if len(first) > 1 and first[:1] == b"(":
        start = strict_id(first[1:]) + 1
        if start > MAX_ID:
            raise CommandError("ERR invalid start ID for the interval")
    else:
        start = any_id(first)
    if len(last) > 1 and last[:1] == b"(":
        end = strict_id(last[1:], MASK64) - 1
        if end < 0:
            raise CommandError("ERR invalid end ID for the interval")
    else:
        end = any_id(last, MASK64)
    return start, end


# XADD and XTRIM.


class Trim(NamedTuple):
    """How much to trim from the beginning of a stream."""

    max_length: int | None
    min_id: int | None
    whole_nodes: bool
    limit: int

    def apply(self, stream: Stream) -> int:
        """Trim; how many entries are gone."""
        return stream.trim(self.max_length, self.min_id, whole_nodes=self.whole_nodes, limit=self.limit)


class NewId(NamedTuple):
    """What XADD says about the id of its entry."""

    milliseconds: int | None
    """None: the present time."""
    sequence: int | None
    """None: the next one that is free."""

    def after(self, last_id: int, now_ms: int) -> int:
        """The id behind `last_id`; not above it when there is none."""
        if self.milliseconds is None:
            return now_ms << 64 if now_ms > last_id >> 64 else last_id + 1
        if self.sequence is not None:
            return self.milliseconds << 64 | self.sequence
        if last_id >> 64 == self.milliseconds:
            return last_id + 1 if last_id & MASK64 < MASK64 else 0
        return self.milliseconds << 64


class Addition(NamedTuple):
    """The options of XADD, or of XTRIM, and where they end."""

    trim: Trim | None
    new_id: NewId
    only_if_there: bool
    end: int


def addition(argv: list[bytes], *, adds: bool) -> Addition:
    """Parse XADD up to its id, or all of XTRIM (t_stream.c, streamParseAddOrTrimArgsOrReply)."""
    max_length = min_id = limit = None
    whole_nodes = only_if_there = False
    new_id = NewId(None, None)
    at = 2
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if adds and word == b"*":
            break
        if word in (b"maxlen", b"minid") and left:
            if max_length is not None or min_id is not None:
                raise CommandError("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
            whole_nodes = False
            if left >= 2 and argv[at + 1] in (b"~", b"="):
                whole_nodes = argv[at + 1] == b"~"
                at += 1
            if word == b"maxlen":
                max_length = parse.integer(argv[at + 1])
                if max_length < 0:
                    raise CommandError("ERR The MAXLEN argument must be >= 0.")
            else:
                min_id = strict_id(argv[at + 1])
            at += 2
        elif word == b"limit" and left:
            limit = parse.integer(argv[at + 1])
            if limit < 0:
                raise CommandError("ERR The LIMIT argument must be >= 0.")
            at += 2
        elif adds and word == b"nomkstream":
            only_if_there = True
            at += 1
        elif adds:
            new_id = _new_id(argv[at])
            break
        else:
            raise CommandError(errors.SYNTAX)
    trims = max_length is not None or min_id is not None
    if limit and not trims:
        raise CommandError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if not adds and not trims:
        raise CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
    if limit is not None and not whole_nodes:
        raise CommandError("ERR syntax error, LIMIT cannot be used without the special ~ option")
    most = (DEFAULT_TRIM_LIMIT if limit is None else limit) if whole_nodes else 0
    trim = Trim(max_length, min_id, whole_nodes, most) if trims else None
    return Addition(trim, new_id, only_if_there, at)


def _new_id(word: bytes) -> NewId:
    if len(word) <= _ID_CHARACTERS and word[-2:] == b"-*" and word.count(b"-") == 1:
        return NewId(_unsigned(word[:-2]), None)
    number = strict_id(word)
    return NewId(number >> 64, number & MASK64)


# XREAD and XREADGROUP.


class Reading(NamedTuple):
    """What an XREAD or an XREADGROUP asks for."""

    keys: list[bytes]
    after: list[int]
    """For each key: entries with higher ids, or `NEW`."""
    most: int
    """Entries of each stream; 0: all."""
    block_ms: int | None
    group: bytes | None
    consumer: bytes
    no_acknowledgement: bool
    argv: list[bytes]
    """The same command with definite ids, to be tried again."""


def reading(context: Context, argv: list[bytes], *, in_group: bool) -> Reading:
    """Parse XREAD or XREADGROUP, and look up what `$` is. Raises CommandError in Redis's order."""
    count = 0
    block_ms: int | None = None
    group: bytes | None = None
    consumer = b""
    no_acknowledgement = False
    first = 0
    at = 1
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if word == b"block" and left:
            block_ms = parse.integer(argv[at + 1], "ERR timeout is not an integer or out of range")
            if block_ms < 0:
                raise CommandError(errors.TIMEOUT_NEGATIVE)
            at += 2
        elif word == b"count" and left:
            count = max(0, parse.integer(argv[at + 1]))
            at += 2
        elif word == b"streams" and left:
            first = at + 1
            break
        elif word == b"group" and left >= 2:
            if not in_group:
                raise CommandError("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
            group, consumer = argv[at + 1], argv[at + 2]
            at += 3
        elif word == b"noack":
            if not in_group:
                raise CommandError("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
            no_acknowledgement = True
            at += 1
        else:
            raise CommandError(errors.SYNTAX)
    if first and (len(argv) - first) % 2:
        raise CommandError(_UNBALANCED)
    if not first:
        raise CommandError(errors.SYNTAX)
    if in_group and group is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    half = (len(argv) - first) // 2
    keys, ids = argv[first : first + half], argv[first + half :]
    if context.serving is not None:  # whatever became of the others, and of the same stream's other ids
        served = keys.index(context.serving)
        keys, ids = keys[served : served + 1], ids[served : served + 1]
    after = [_read_after(context, key, word, group) for key, word in zip(keys, ids, strict=True)]
    definite = [b">" if number == NEW else show_id(number) for number in after]
    again = [*argv[: first + half], *definite]
    return Reading(keys, after, count, block_ms, group, consumer, no_acknowledgement, again)


def _read_after(context: Context, key: bytes, word: bytes, group: bytes | None) -> int:
    stream = context.collection(key, Stream)
    if group is not None and context.serving is None and (stream is None or group not in stream.groups):
        raise CommandError(
            f"NOGROUP No such key '{key.decode('latin-1')}' or consumer group '{group.decode('latin-1')}' in XREADGROUP"
            " with GROUP option"
        )
    if word == b"$":
        if group is not None:
            raise CommandError(_MEANINGLESS)
        return 0 if stream is None else stream.last_id
    if word == b">":
        if group is None:
            raise CommandError(_ONLY_GROUPS)
        return NEW
    after = strict_id(word)
    # Redis marks `>` by the highest id that there is, so that asks for new entries too.
    return NEW if group is not None and after == MAX_ID else after


def group_of(context: Context, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """A stream and its group. Raises WRONGTYPE and NOGROUP."""
    stream = context.collection(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise CommandError(
            f"NOGROUP No such key '{key.decode('latin-1')}' or consumer group '{name.decode('latin-1')}'"
        )
    return stream, group
