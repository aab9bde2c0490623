"""Reading values, in all encodings of Redis 7.0 and in those of the servers before it (Redis: rdb.c, rdbLoadObject).

Everything is looked at, as Redis does with `sanitize-dump-payload yes`; and beyond it, scores must be numbers that are
written as such.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable

from redraft.rdb import intset, listpack, stream, types, ziplist, zipmap
from redraft.rdb.contents import Content, HashContent, ListContent, SetContent, SortedSetContent, StringContent
from redraft.rdb.errors import PayloadError
from redraft.rdb.reader import Reader

Unpack = Callable[[bytes], list[bytes]]

SCORE_TEXT_MAX = 127
"""Redis reads no more of a score."""

_DOUBLE = struct.Struct("<d")
_SCORE = re.compile(rb"[-+]?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|inf)\Z")
_NAMED_SCORES = {253: math.nan, 254: math.inf, 255: -math.inf}


def decode(body: bytes) -> Content:
    """The contents of a value that begins with its type. Raises PayloadError."""
    reader = Reader(body)
    read = _READERS.get(reader.byte())
    if read is None:
        raise PayloadError("a payload is of an unknown type")
    return read(reader)


def _string(reader: Reader) -> Content:
    return StringContent(reader.string())


# Lists.


def _list(reader: Reader) -> Content:
    return _elements(reader.strings(reader.length()))


def _list_ziplist(reader: Reader) -> Content:
    return _elements(ziplist.read(reader.string()))


def _list_quicklist(reader: Reader) -> Content:
    elements: list[bytes] = []
    for _ in range(reader.length()):
        elements += ziplist.read(reader.string())
    return _elements(elements)


def _list_quicklist_2(reader: Reader) -> Content:
    elements: list[bytes] = []
    for _ in range(reader.length()):
        container = reader.length()
        data = reader.string()
        if container == types.NODE_PACKED:
            elements += listpack.read(data)
        elif container == types.NODE_PLAIN and data:
            elements.append(data)
        else:
            raise PayloadError("a list's node is of an unknown kind")
    return _elements(elements)


def _elements(elements: list[bytes]) -> Content:
    _demand(elements)
    return ListContent(elements)


# Sets.


def _set(reader: Reader) -> Content:
    members = reader.strings(reader.length())
    _demand(members, distinct=True)
    return SetContent(members)


def _set_intset(reader: Reader) -> Content:
    return SetContent([b"%d" % number for number in intset.read(reader.string())])


# Hashes.


def _hash(reader: Reader) -> Content:
    return _fields(reader.strings(2 * reader.length()))


def _hash_packed(unpack: Unpack) -> Callable[[Reader], Content]:
    return lambda reader: _fields(unpack(reader.string()))


def _fields(pairs: list[bytes]) -> Content:
    _demand_pairs(pairs)
    return HashContent(pairs[::2], pairs[1::2])


# Sorted sets.


def _sorted_set(reader: Reader) -> Content:
    pairs: list[tuple[float, bytes]] = []
    for _ in range(reader.length()):
        member = reader.string()
        size = reader.byte()
        pairs.append((_NAMED_SCORES[size] if size in _NAMED_SCORES else _score(reader.take(size)), member))
    return _pairs(pairs)


def _sorted_set_2(reader: Reader) -> Content:
    pairs: list[tuple[float, bytes]] = []
    for _ in range(reader.length()):
        member = reader.string()
        pairs.append((_DOUBLE.unpack(reader.take(8))[0], member))
    return _pairs(pairs)


def _sorted_set_packed(unpack: Unpack) -> Callable[[Reader], Content]:
    def read(reader: Reader) -> Content:
        flat = unpack(reader.string())
        _demand_pairs(flat)
        return _pairs(list(zip(map(_score, flat[1::2]), flat[::2], strict=True)))

    return read


def _pairs(pairs: list[tuple[float, bytes]]) -> Content:
    _demand([member for _, member in pairs], distinct=True)
    if any(math.isnan(score) for score, _ in pairs):
        raise PayloadError("a score is not a number")
    pairs.sort()
    return SortedSetContent(pairs)


def _score(text: bytes) -> float:
    if len(text) > SCORE_TEXT_MAX or not _SCORE.match(text):
        raise PayloadError("a score is not written as a number")
    return float(text)


# What all collections demand.


def _demand(members: list[bytes], *, distinct: bool = False) -> None:
    if not members:
        raise PayloadError("a collection is empty")
    if distinct and len(set(members)) != len(members):
        raise PayloadError("a collection has a member twice")


def _demand_pairs(flat: list[bytes]) -> None:
    if len(flat) % 2:
        raise PayloadError("the last of the pairs has one half only")
    _demand(flat[::2], distinct=True)


_READERS: dict[int, Callable[[Reader], Content]] = {
    types.STRING: _string,
    types.LIST: _list,
    types.SET: _set,
    types.ZSET: _sorted_set,
    types.HASH: _hash,
    types.ZSET_2: _sorted_set_2,
    types.HASH_ZIPMAP: _hash_packed(zipmap.read),
    types.LIST_ZIPLIST: _list_ziplist,
    types.SET_INTSET: _set_intset,
    types.ZSET_ZIPLIST: _sorted_set_packed(ziplist.read),
    types.HASH_ZIPLIST: _hash_packed(ziplist.read),
    types.LIST_QUICKLIST: _list_quicklist,
    types.STREAM_LISTPACKS: stream.read_uncounted,
    types.HASH_LISTPACK: _hash_packed(listpack.read),
    types.ZSET_LISTPACK: _sorted_set_packed(listpack.read),
    types.LIST_QUICKLIST_2: _list_quicklist_2,
    types.STREAM_LISTPACKS_2: stream.read,
}
