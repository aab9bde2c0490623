"""XINFO: what a stream, its groups and their consumers are like (Redis: t_stream.c)."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.streams import shown, shown_all
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.resp.reply import Map
from redraft.values.stream import Stream
from redraft.values.stream_groups import Group
from redraft.values.stream_node import MAX_ID, show_id

FULL_COUNT = 10

container("XINFO", -2, group="stream", since="5.0.0", summary="Commands that tell about streams", help_acl="stream")

_xinfo = partial(
    command, group="stream", acl="stream", flags="readonly", keys=(2, 2, 1), since="5.0.0", access="RO access"
)


def _stream(context: Context, key: bytes) -> Stream:
    stream = context.collection(key, Stream)
    if stream is None:
        raise CommandError(errors.NO_SUCH_KEY)
    return stream


@_xinfo("XINFO STREAM", -3, summary="Tell about a stream; with FULL, about everything in it")
def xinfo_stream(context: Context, argv: list[bytes]) -> Any:
    stream = _stream(context, argv[2])
    count = FULL_COUNT
    if len(argv) not in (3, 4, 6) or (len(argv) > 3 and argv[3].lower() != b"full"):
        raise errors.wrong_subcommand(argv)
    if len(argv) == 6:
        if argv[4].lower() != b"count":
            raise errors.wrong_subcommand(argv)
        count = parse.integer(argv[5])
        if count < 0:
            count = FULL_COUNT
    told = [
        (b"length", stream.size),
        (b"radix-tree-keys", len(stream.nodes)),
        (b"radix-tree-nodes", len(stream.nodes) + 1),
        (b"last-generated-id", show_id(stream.last_id)),
        (b"max-deleted-entry-id", show_id(stream.max_deleted_id)),
        (b"entries-added", stream.entries_added),
        (b"recorded-first-entry-id", show_id(stream.first_id)),
    ]
    if len(argv) > 3:
        groups = [_group_in_full(stream, name, stream.groups[name], count) for name in sorted(stream.groups)]
        return Map([*told, (b"entries", shown_all(stream.walk(0, MAX_ID), count)), (b"groups", groups)])
    first = next(stream.walk(0, MAX_ID), None)
    last = next(stream.walk(0, MAX_ID, backwards=True), None)
    edges = [(b"first-entry", first and shown(first)), (b"last-entry", last and shown(last))]
    return Map([*told, (b"groups", len(stream.groups)), *edges])


def _lag(stream: Stream, group: Group) -> int | None:
    """How many entries a group has not read; None when it cannot be told."""
    if not stream.entries_added:
        return 0
    read = group.entries_read
    if read is None or not stream.is_gapless_after(group.last_id):
        read = stream.maybe_count_to(group.last_id)
    return None if read is None else stream.entries_added - read


def _group_in_full(stream: Stream, name: bytes, group: Group, count: int) -> Map:
    most = count or None
    pending = [[show_id(number), *group.pending[number]] for number in islice(group.pending, most)]
    consumers = []
    for consumer in group.consumers():
        owned = group.owned_by(consumer)
        own = [[show_id(number), *group.pending[number][1:]] for number in islice(owned, most)]
        consumers.append(
            Map(
                [
                    (b"name", consumer), (b"seen-time", group.seen_ms[consumer]), (b"pel-count", len(owned)),
                    (b"pending", own),
                ]
            )
        )  # fmt: skip
    return Map(
        [
            (b"name", name), (b"last-delivered-id", show_id(group.last_id)), (b"entries-read", group.entries_read),
            (b"lag", _lag(stream, group)), (b"pel-count", len(group)), (b"pending", pending), (b"consumers", consumers),
        ]
    )  # fmt: skip


@_xinfo("XINFO GROUPS", 3, summary="Tell about the groups of a stream")
def xinfo_groups(context: Context, argv: list[bytes]) -> Any:
    stream = _stream(context, argv[2])
    return [
        Map(
            [
                (b"name", name), (b"consumers", len(group.seen_ms)), (b"pending", len(group)),
                (b"last-delivered-id", show_id(group.last_id)), (b"entries-read", group.entries_read),
                (b"lag", _lag(stream, group)),
            ]
        )
        for name, group in sorted(stream.groups.items())
    ]  # fmt: skip


@_xinfo("XINFO CONSUMERS", 4, summary="Tell about the consumers of a group", tips=("nondeterministic_output",))
def xinfo_consumers(context: Context, argv: list[bytes]) -> Any:
    group = _stream(context, argv[2]).groups.get(argv[3])
    if group is None:
        name, key = argv[3].decode("latin-1"), argv[2].decode("latin-1")
        raise CommandError(f"NOGROUP No such consumer group '{name}' for key name '{key}'")
    return [
        Map(
            [
                (b"name", name), (b"pending", len(group.owned_by(name))),
                (b"idle", max(0, context.clock_ms - group.seen_ms[name])),
            ]
        )
        for name in group.consumers()
    ]  # fmt: skip
