"""A node of a stream: entries in a listpack, as differences from the node's first (Redis: t_stream.c).

```
once            count of entries, of deleted ones; count of fields, the fields; 0
for each entry  flags: 1 deleted, 2 it has the node's fields
                its id less the node's: milliseconds, sequence
                without flag 2: count of fields
                the values, without flag 2 each after its field
                count of all these, for whoever walks backwards
```

Of a deleted entry redraft keeps the place only. It is written as one without fields: the last of the node if it was,
otherwise before all others.
"""

from __future__ import annotations

from redraft.integers import parse_int64
from redraft.rdb import listpack
from redraft.rdb.contents import StreamNode
from redraft.rdb.errors import PayloadError

DELETED = 1
SAME_FIELDS = 2

_SMALL = {b"%d" % number: number for number in range(4096)}
"""Nearly all numbers of a node."""
_MASK64 = (1 << 64) - 1
_DAMAGED = "a stream's node has other entries than it tells"


def read(first: int, data: bytes) -> StreamNode:
    """The node that began with the id `first`. Raises PayloadError."""
    cells = listpack.read(data)
    count, deleted, width = _number(cells, 0), _number(cells, 1), _number(cells, 2)
    at = 4 + width
    if min(count, deleted, width) < 0 or at > len(cells) or cells[at - 1] != b"0":
        raise PayloadError(_DAMAGED)
    names = tuple(cells[3 : at - 1])
    entries: list[tuple[int, tuple[bytes, ...]]] = []
    last = first
    gone = 0
    while at < len(cells):
        flags = _number(cells, at)
        number = _sum(first, _number(cells, at + 1), _number(cells, at + 2))
        begun = at
        at += 3
        if flags & SAME_FIELDS:
            after = at + width
            fields = [b""] * (2 * width)
            fields[::2] = names
            values = cells[at:after]
            if len(values) != width:
                raise PayloadError(_DAMAGED)
            fields[1::2] = values
        else:
            size = _number(cells, at)
            at += 1
            after = at + 2 * size
            if not size >= 0 or after > len(cells):
                raise PayloadError(_DAMAGED)
            fields = cells[at:after]
        if _number(cells, after) != after - begun:
            raise PayloadError(_DAMAGED)
        at = after + 1
        if flags & DELETED:
            gone += 1
        elif fields and (number > last or not entries):
            entries.append((number, tuple(fields)))
        else:
            raise PayloadError("a stream's entries are out of order, or empty")
        if number < last:
            raise PayloadError("a stream's entries are out of order")
        last = number
    if (len(entries), gone) != (count, deleted):
        raise PayloadError(_DAMAGED)
    return StreamNode(first, last, deleted, names, entries, len(data))


def write(node: StreamNode) -> bytes:
    """The node's listpack."""
    integer, element = listpack.integer, listpack.element
    cells = [integer(len(node.entries)), integer(node.deleted), integer(len(node.names))]
    cells += map(element, node.names)
    cells.append(integer(0))
    deleted_last = int(node.last != node.entries[-1][0])
    _add_deleted(cells, node, node.first, node.deleted - deleted_last)
    for number, fields in node.entries:
        same = fields[::2] == node.names
        cells.append(integer(SAME_FIELDS if same else 0))
        cells += _differences(node, number)
        if not same:
            cells.append(integer(len(fields) // 2))
        cells += map(element, fields[1::2] if same else fields)
        cells.append(integer(len(node.names) + 3 if same else len(fields) + 4))
    _add_deleted(cells, node, node.last, deleted_last)
    return listpack.join(cells)


def _add_deleted(cells: list[bytes], node: StreamNode, number: int, count: int) -> None:
    cells += count * [listpack.integer(DELETED), *_differences(node, number), *map(listpack.integer, (0, 4))]


def _differences(node: StreamNode, number: int) -> tuple[bytes, bytes]:
    return _signed((number >> 64) - (node.first >> 64)), _signed((number & _MASK64) - (node.first & _MASK64))


def _signed(difference: int) -> bytes:
    """A difference; it wraps round as a signed 64-bit integer."""
    return listpack.integer((difference + (1 << 63) & _MASK64) - (1 << 63))


def _sum(first: int, milliseconds: int, sequence: int) -> int:
    return ((first >> 64) + milliseconds & _MASK64) << 64 | (first + sequence & _MASK64)


def _number(cells: list[bytes], at: int) -> int:
    if at >= len(cells):
        raise PayloadError("a stream's node ends early")
    number = _SMALL.get(cells[at])
    if number is None:
        number = parse_int64(cells[at])
    if number is None:
        raise PayloadError("a stream's node has no number where one must be")
    return number
