"""Consumer groups of streams (Redis: t_stream.c). What a group holds is `values.stream_groups.Group`."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import StreamsFinder
from redraft.commands.stream_arguments import (
    BLOCKED_COUNT,
    NEW,
    Reading,
    any_id,
    group_of,
    interval,
    reading,
    strict_id,
)
from redraft.commands.streams import shown
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.resp.reply import NIL_ARRAY, OK, PairMap
from redraft.values.pending import Pending
from redraft.values.stream import Stream
from redraft.values.stream_groups import Group
from redraft.values.stream_node import MAX_ID, show_id

CLAIM_ATTEMPTS = 10
"""XAUTOCLAIM looks at this many pending entries for each one that it may return."""

_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option"
    " to create an empty stream automatically."
)
_GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists"
_RANDOM = ("nondeterministic_output",)
_PER_ENTRY = "O(log(N)) for each entry, where N is the number of pending entries of the group."

_stream = partial(command, group="stream", acl="stream")
_of_one = partial(_stream, keys=(1, 1, 1), since="5.0.0")
_xgroup = partial(_stream, keys=(2, 2, 1), since="5.0.0")


def _changed(context: Context, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """A stream that is there, and its group, to be changed."""
    stream = context.mutable(key, Stream)
    assert stream is not None
    return stream, stream.groups[name]


# XGROUP.

container("XGROUP", -2, group="stream", since="5.0.0", summary="Commands about consumer groups", help_acl="stream")


def _group_options(argv: list[bytes]) -> tuple[bool, int | None]:
    """MKSTREAM and ENTRIESREAD of CREATE and SETID."""
    make, entries_read = False, None
    creates = argv[1].lower() == b"create"
    at = 5
    while at < len(argv):
        word = argv[at].lower()
        if creates and word == b"mkstream":
            make = True
            at += 1
        elif word == b"entriesread" and at + 1 < len(argv):
            number = parse.integer(argv[at + 1])
            if number < -1:
                raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
            entries_read = None if number == -1 else number
            at += 2
        else:
            raise errors.wrong_subcommand(argv)
    return make, entries_read


def _with_key(context: Context, argv: list[bytes]) -> Stream:
    stream = context.collection(argv[2], Stream)
    if stream is None:
        raise CommandError(_NO_KEY)
    return stream


def _with_group(context: Context, argv: list[bytes]) -> Stream:
    stream = _with_key(context, argv)
    if argv[3] not in stream.groups:
        name, key = argv[3].decode("latin-1"), argv[2].decode("latin-1")
        raise CommandError(f"NOGROUP No such consumer group '{name}' for key name '{key}'")
    return stream


@_xgroup("XGROUP CREATE", -5, "write denyoom", access="RW insert", summary="Create a consumer group")
def xgroup_create(context: Context, argv: list[bytes]) -> Any:
    make, entries_read = _group_options(argv)
    stream = context.collection(argv[2], Stream)
    if stream is None and not make:
        raise CommandError(_NO_KEY)
    if argv[4] == b"$":
        last_id = 0 if stream is None else stream.last_id
    else:
        last_id = strict_id(argv[4])
    if stream is not None and argv[3] in stream.groups:
        raise CommandError("BUSYGROUP Consumer Group name already exists")
    stream = context.mutable(argv[2], Stream)
    if stream is None:
        stream = Stream()
        context.db.put(argv[2], stream)
    stream.groups[argv[3]] = Group(last_id, entries_read)
    return OK


@_xgroup("XGROUP SETID", -5, "write", access="RW update", summary="Set the id that a group has read up to")
def xgroup_setid(context: Context, argv: list[bytes]) -> Any:
    _, entries_read = _group_options(argv)
    stream = _with_group(context, argv)
    last_id = stream.last_id if argv[4] == b"$" else any_id(argv[4])
    _, group = _changed(context, argv[2], argv[3])
    group.last_id, group.entries_read = last_id, entries_read
    return OK


@_xgroup(
    "XGROUP DESTROY", 4, "write", access="RW delete", summary="Delete a consumer group",
    complexity="O(N) where N is the number of its pending entries.",
)  # fmt: skip
def xgroup_destroy(context: Context, argv: list[bytes]) -> Any:
    if argv[3] not in _with_key(context, argv).groups:
        return 0
    stream, _ = _changed(context, argv[2], argv[3])
    del stream.groups[argv[3]]
    return 1


@_xgroup(
    "XGROUP CREATECONSUMER", 5, "write denyoom", since="6.2.0", access="RW insert",
    summary="Create a consumer of a group",
)  # fmt: skip
def xgroup_createconsumer(context: Context, argv: list[bytes]) -> Any:
    if argv[4] in _with_group(context, argv).groups[argv[3]].seen_ms:
        return 0
    _, group = _changed(context, argv[2], argv[3])
    return int(group.see(argv[4], context.now_ms))


@_xgroup("XGROUP DELCONSUMER", 5, "write", access="RW delete", summary="Delete a consumer of a group")
def xgroup_delconsumer(context: Context, argv: list[bytes]) -> Any:
    if argv[4] not in _with_group(context, argv).groups[argv[3]].seen_ms:
        return 0
    _, group = _changed(context, argv[2], argv[3])
    return group.remove_consumer(argv[4])


# Reading.


@_stream(
    "XREADGROUP", -7, "write blocking movablekeys", since="5.0.0", find_keys=StreamsFinder(4), access="RO access",
    complexity="O(M*log(N)) where M is the number of entries returned and N that of pending entries.",
    summary="Get entries that no other consumer of the group has got, or wait for some; or one's own pending ones",
)  # fmt: skip
def xreadgroup(context: Context, argv: list[bytes]) -> Any:
    asked = reading(context, argv, in_group=True)
    assert asked.group is not None
    found = PairMap()
    for key, after in zip(asked.keys, asked.after, strict=True):
        stream = context.collection(key, Stream)
        if stream is None:
            continue
        group = stream.groups.get(asked.group)
        if group is None:
            raise CommandError(_GROUP_GONE)
        has_new = stream.top_id > group.last_id
        if after == NEW and not has_new:
            continue
        stream, group = _changed(context, key, asked.group)
        group.see(asked.consumer, context.now_ms)
        if after == NEW:
            found.append((key, _deliver(context, stream, group, asked)))
        else:
            found.append((key, _deliver_again(context, stream, group, asked, after)))
    if found:
        return found
    if asked.block_ms is None:
        return NIL_ARRAY
    return context.wait(asked.keys, asked.argv, Stream.type_name, asked.block_ms, needs_key=True)


def _deliver(context: Context, stream: Stream, group: Group, asked: Reading) -> list[Any]:
    """Deliver new entries to a consumer."""
    count = asked.most or (0 if context.serving is None else BLOCKED_COUNT)
    entries = stream.walk(group.last_id + 1, MAX_ID)
    delivered = []
    for number, fields in islice(entries, count) if count else entries:
        if group.entries_read is not None and stream.is_gapless_after(number):
            group.entries_read += 1
        elif stream.entries_added:
            group.entries_read = stream.maybe_count_to(number)
        group.last_id = number
        delivered.append(shown((number, fields)))
        if not asked.no_acknowledgement:
            group.assign(number, Pending(asked.consumer, context.now_ms, 1))
    return delivered


def _deliver_again(context: Context, stream: Stream, group: Group, asked: Reading, after: int) -> list[Any]:
    """Deliver a consumer's own pending entries with ids above `after` once more."""
    delivered: list[Any] = []
    owned = group.owned_by(asked.consumer)
    for number in islice(list(owned.irange(after + 1)), asked.most or None):
        fields = stream.maybe_entry(number)
        if fields is None:
            delivered.append([show_id(number), NIL_ARRAY])
            continue
        delivered.append(shown((number, fields)))
        again = group.pending[number].delivered_again()
        group.assign(number, Pending(asked.consumer, context.now_ms, again))
    return delivered


# Pending entries.


@_of_one(
    "XACK", -4, "write fast", access="RW update", complexity=_PER_ENTRY,
    summary="Acknowledge pending entries of a group",
)  # fmt: skip
def xack(context: Context, argv: list[bytes]) -> Any:
    stream = context.collection(argv[1], Stream)
    group = None if stream is None else stream.groups.get(argv[2])
    if group is None:
        return 0
    numbers = [strict_id(word) for word in argv[3:]]
    if all(number not in group.pending for number in numbers):
        return 0
    _, group = _changed(context, argv[1], argv[2])
    return sum([group.forget(number) for number in numbers])


@_of_one(
    "XPENDING", -3, "readonly", access="RO access", tips=_RANDOM,
    complexity="O(N) where N is the number of entries shown.",
    summary="Show the pending entries of a group, all in all or one by one",
)  # fmt: skip
def xpending(context: Context, argv: list[bytes]) -> Any:
    if len(argv) == 3:
        _, group = group_of(context, argv[1], argv[2])
        return _pending_summary(group)
    if not 6 <= len(argv) <= 9:
        raise CommandError(errors.SYNTAX)
    first, min_idle_ms = 3, 0
    if argv[3].lower() == b"idle":
        min_idle_ms = parse.integer(argv[4])
        if len(argv) < 8:
            raise CommandError(errors.SYNTAX)
        first = 5
    count = max(0, parse.integer(argv[first + 2]))
    start, end = interval(argv[first], argv[first + 1])
    consumer = argv[first + 3] if first + 3 < len(argv) else None
    _, group = group_of(context, argv[1], argv[2])
    numbers = group.pending if consumer is None else group.owned_by(consumer)
    found: list[Any] = []
    for number in numbers.irange(start, end):
        if len(found) >= count:
            break
        pending = group.pending[number]
        idle_ms = context.clock_ms - pending.delivered_ms
        if not min_idle_ms or idle_ms >= min_idle_ms:
            found.append([show_id(number), pending.consumer, max(0, idle_ms), pending.deliveries])
    return found


def _pending_summary(group: Group) -> list[Any]:
    if not group.pending:
        return [0, None, None, NIL_ARRAY]
    consumers = [(name, len(group.owned_by(name))) for name in group.consumers()]
    counts = [[name, b"%d" % count] for name, count in consumers if count]
    return [len(group.pending), *map(show_id, group.pending.ends), counts]


def _min_idle_ms(word: bytes, name: str) -> int:
    return max(0, parse.integer(word, f"ERR Invalid min-idle-time argument for {name}"))


@_of_one(
    "XCLAIM", -6, "write fast", access="RW update", tips=_RANDOM, complexity=_PER_ENTRY,
    summary="Make pending entries those of another consumer",
)  # fmt: skip
def xclaim(context: Context, argv: list[bytes]) -> Any:
    group_of(context, argv[1], argv[2])
    min_idle_ms = _min_idle_ms(argv[4], "XCLAIM")
    numbers: list[int] = []
    for word in argv[5:]:
        try:
            numbers.append(strict_id(word))
        except CommandError:
            break
    now_ms = context.now_ms
    delivered_ms, deliveries, last_id = now_ms, -1, 0
    words = set()
    at = 5 + len(numbers)
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if word in (b"force", b"justid"):
            words.add(word)
            at += 1
            continue
        if word not in (b"idle", b"time", b"retrycount", b"lastid") or not left:
            raise CommandError(f"ERR Unrecognized XCLAIM option '{argv[at].decode('latin-1')}'")
        if word == b"lastid":
            last_id = strict_id(argv[at + 1])
        else:
            name = word.decode().upper()
            number = parse.integer(argv[at + 1], f"ERR Invalid {name} option argument for XCLAIM")
            if word == b"retrycount":
                deliveries = number
            else:
                delivered_ms = now_ms - number if word == b"idle" else number
        at += 2
    if not 0 <= delivered_ms <= now_ms:
        delivered_ms = now_ms
    stream, group = _changed(context, argv[1], argv[2])
    group.last_id = max(group.last_id, last_id)
    consumer = argv[3]
    claimed: list[Any] = []
    for number in numbers:
        pending = group.pending.get(number)
        fields = stream.maybe_entry(number)
        if fields is None:
            group.forget(number)
            continue
        if pending is None:
            if b"force" not in words:
                continue
            pending = Pending(consumer, now_ms, 1)
        elif min_idle_ms and now_ms - pending.delivered_ms < min_idle_ms:
            continue
        if deliveries >= 0:
            count = deliveries
        else:
            count = pending.deliveries if b"justid" in words else pending.delivered_again()
        group.see(consumer, now_ms)
        group.assign(number, Pending(consumer, delivered_ms, count))
        claimed.append(show_id(number) if b"justid" in words else shown((number, fields)))
    return claimed


@_of_one(
    "XAUTOCLAIM", -6, "write fast", since="6.2.0", access="RW delete", tips=_RANDOM,
    complexity="O(1) for each entry that is looked at.",
    summary="Make pending entries that nobody has worked on for long those of another consumer",
)  # fmt: skip
def xautoclaim(context: Context, argv: list[bytes]) -> Any:
    min_idle_ms = _min_idle_ms(argv[4], "XAUTOCLAIM")
    start, _ = interval(argv[5], b"+")
    count, just_ids = 100, False
    at = 6
    while at < len(argv):
        word = argv[at].lower()
        if word == b"count" and at + 1 < len(argv):
            count = parse.integer_in(argv[at + 1], 1, INT64_MAX // CLAIM_ATTEMPTS, "ERR COUNT must be > 0")
            at += 2
        elif word == b"justid":
            just_ids = True
            at += 1
        else:
            raise CommandError(errors.SYNTAX)
    group_of(context, argv[1], argv[2])
    stream, group = _changed(context, argv[1], argv[2])
    consumer, now_ms = argv[3], context.now_ms
    claimed: list[Any] = []
    deleted: list[bytes] = []
    looked_at = list(islice(group.pending.irange(start, MAX_ID), count * CLAIM_ATTEMPTS))
    following = 0
    for number in looked_at:
        if len(claimed) + len(deleted) == count:
            following = number
            break
        fields = stream.maybe_entry(number)
        pending = group.pending[number]
        if fields is None:
            group.forget(number)
            deleted.append(show_id(number))
            continue
        if min_idle_ms and now_ms - pending.delivered_ms < min_idle_ms:
            continue
        deliveries = pending.deliveries if just_ids else pending.delivered_again()
        group.see(consumer, now_ms)
        group.assign(number, Pending(consumer, now_ms, deliveries))
        claimed.append(show_id(number) if just_ids else shown((number, fields)))
    if not following and looked_at:
        following = next(group.pending.irange(looked_at[-1] + 1, MAX_ID), 0)
    return [show_id(following), claimed, deleted]
