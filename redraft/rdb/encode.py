"""Writing contents as Redis 7.0 does, so that they are held there in the encoding that they had here."""

from __future__ import annotations

import struct

from redraft.rdb import intset, listpack, stream, types
from redraft.rdb.contents import (
    Content,
    HashContent,
    ListContent,
    SetContent,
    SortedSetContent,
    StreamContent,
    StringContent,
)
from redraft.rdb.writer import length, string

NODE_BYTES = 8192
"""A list's listpack is closed before it is longer: Redis's own default (list-max-listpack-size -2)."""
PLAIN_BYTES = 1 << 30
"""An element of this size is no listpack's."""

_DOUBLE = struct.Struct("<d")


def encode(content: Content) -> bytes:
    """The type's byte and the value."""
    match content:
        case StringContent(data):
            return bytes((types.STRING,)) + string(data)
        case ListContent(elements):
            return _list(elements)
        case SetContent(members, compact):
            return _set(members, compact)
        case HashContent(fields, values, compact):
            return _hash(fields, values, compact)
        case SortedSetContent(pairs, compact):
            return _sorted_set(pairs, compact)
        case StreamContent():
            return bytes((types.STREAM_LISTPACKS_2,)) + stream.write(content)


def _list(elements: list[bytes]) -> bytes:
    nodes: list[bytes] = []
    part: list[bytes] = []
    room = NODE_BYTES
    for data in elements:
        if len(data) >= PLAIN_BYTES:
            if part:
                nodes.append(_packed_node(part))
                part, room = [], NODE_BYTES
            nodes.append(length(types.NODE_PLAIN) + length(len(data)) + data)
            continue
        packed = listpack.element(data)
        room -= len(packed)
        if room < 0 and part:
            nodes.append(_packed_node(part))
            part, room = [], NODE_BYTES - len(packed)
        part.append(packed)
    if part:
        nodes.append(_packed_node(part))
    return b"".join([bytes((types.LIST_QUICKLIST_2,)), length(len(nodes)), *nodes])


def _packed_node(elements: list[bytes]) -> bytes:
    packed = listpack.join(elements)
    return length(types.NODE_PACKED) + length(len(packed)) + packed


def _set(members: list[bytes], compact: bool) -> bytes:
    if compact:
        packed = intset.write(map(int, members))
        return bytes((types.SET_INTSET,)) + length(len(packed)) + packed
    return b"".join([bytes((types.SET,)), length(len(members)), *map(string, members)])


def _hash(fields: list[bytes], values: list[bytes], compact: bool) -> bytes:
    parts = [b""] * (2 * len(fields))
    form = listpack.element if compact else string
    parts[::2] = map(form, fields)
    parts[1::2] = map(form, values)
    if compact:
        packed = listpack.join(parts)
        return bytes((types.HASH_LISTPACK,)) + length(len(packed)) + packed
    return b"".join([bytes((types.HASH,)), length(len(fields)), *parts])


def _sorted_set(pairs: list[tuple[float, bytes]], compact: bool) -> bytes:
    parts = [b""] * (2 * len(pairs))
    if compact:
        parts[::2] = [listpack.element(member) for _, member in pairs]
        parts[1::2] = [listpack.element(b"%.17g" % score) for score, _ in pairs]
        packed = listpack.join(parts)
        return bytes((types.ZSET_LISTPACK,)) + length(len(packed)) + packed
    backwards = pairs[::-1]  # as Redis writes them: each is inserted before all others when they are read
    parts[::2] = [string(member) for _, member in backwards]
    parts[1::2] = [_DOUBLE.pack(score) for score, _ in backwards]
    return b"".join([bytes((types.ZSET_2,)), length(len(pairs)), *parts])
