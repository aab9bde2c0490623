"""A value's contents for people's eyes, and as JSON: what `redraft image dump --values` shows."""

from __future__ import annotations

import math
from typing import Any

from redraft.cli.offline import json_bytes, moment
from redraft.rdb.contents import (
    Content,
    HashContent,
    ListContent,
    SetContent,
    SortedSetContent,
    StreamContent,
    StringContent,
)
from redraft.resp.quoting import quoted
from redraft.values.stream_node import show_id


def lines(content: Content) -> list[str]:
    """One line an element, quoted as redis-cli quotes."""
    match content:
        case StringContent(data):
            return [quoted(data)]
        case ListContent(elements):
            return [f"{number}) {quoted(element)}" for number, element in enumerate(elements, 1)]
        case SetContent(members):
            return [quoted(member) for member in members]
        case HashContent(fields, values):
            return [f"{quoted(field)} {quoted(value)}" for field, value in zip(fields, values, strict=True)]
        case SortedSetContent(pairs):
            return [f"{score:.17g} {quoted(member)}" for score, member in pairs]
        case StreamContent():
            return _lines_of_stream(content)


def _lines_of_stream(stream: StreamContent) -> list[str]:
    shown = [
        f"{_id(number)} {' '.join(map(quoted, fields))}" for node in stream.nodes for number, fields in node.entries
    ]
    shown.append(f"last id {_id(stream.last_id)}, entries ever added: {stream.entries_added}")
    for group in stream.groups:
        shown.append(f"group {quoted(group.name)}: delivered up to {_id(group.last_id)}")
        for consumer, seen_ms in group.seen_ms.items():
            shown.append(f"  consumer {quoted(consumer)}, heard of last at {moment(seen_ms)}")
        for each in group.pending:
            times = "once" if each.deliveries == 1 else f"{each.deliveries} times"
            shown.append(f"  pending {_id(each.number)} of {quoted(each.consumer)}, delivered {times}")
    return shown


def as_json(content: Content) -> Any:
    """Lists, pairs and objects; bytes as `offline.json_bytes` has them."""
    match content:
        case StringContent(data):
            return json_bytes(data)
        case ListContent(elements):
            return [json_bytes(element) for element in elements]
        case SetContent(members):
            return [json_bytes(member) for member in members]
        case HashContent(fields, values):
            return [[json_bytes(field), json_bytes(value)] for field, value in zip(fields, values, strict=True)]
        case SortedSetContent(pairs):
            return [[score if math.isfinite(score) else str(score), json_bytes(member)] for score, member in pairs]
        case StreamContent():
            return _json_of_stream(content)


def _json_of_stream(stream: StreamContent) -> dict[str, Any]:
    entries = [entry for node in stream.nodes for entry in node.entries]
    return {
        "entries": [[_id(number), [json_bytes(each) for each in fields]] for number, fields in entries],
        "last_id": _id(stream.last_id),
        "max_deleted_id": _id(stream.max_deleted_id),
        "entries_added": stream.entries_added,
        "groups": [
            {
                "name": json_bytes(group.name),
                "last_id": _id(group.last_id),
                "entries_read": group.entries_read,
                "consumers": [[json_bytes(consumer), seen_ms] for consumer, seen_ms in group.seen_ms.items()],
                "pending": [
                    [_id(each.number), json_bytes(each.consumer), each.delivered_ms, each.deliveries]
                    for each in group.pending
                ],
            }
            for group in stream.groups
        ],
    }


def _id(number: int) -> str:
    return show_id(number).decode()
