"""Streams: nodes, counters, and groups with what they delivered (Redis: rdb.c).

```
nodes       for each: the id that it began with, as a string of 16 bytes; its listpack, as a string
length      of the stream
last id     milliseconds, sequence: lengths
since 7.0   the first entry's id, the highest deleted id, the count of entries ever added
groups      for each: name, last id, since 7.0 the count of entries read
            pending entries, each: id (16 bytes), when it was delivered (8), how often
            consumers, each: name, when it was seen (8), ids of its pending entries (16 each)
```

A count precedes each row. Beyond what Redis checks, entries must be in order, below the stream's last id, and as many
as its length; and a pending entry must have one consumer.
"""

from __future__ import annotations

from redraft.integers import INT64_MAX
from redraft.rdb import stream_node
from redraft.rdb.contents import Content, StreamContent, StreamGroup, StreamNode, StreamPending
from redraft.rdb.errors import PayloadError
from redraft.rdb.reader import Reader
from redraft.rdb.writer import length, string

ID_BYTES = 16
TIME_BYTES = 8

_MASK64 = (1 << 64) - 1
_UNKNOWN = _MASK64
"""A count of entries read that is not known: -1."""


# Reading.


def read(reader: Reader) -> Content:
    """A stream as Redis 7.0 writes it. Raises PayloadError."""
    return _read(reader, counted=True)


def read_uncounted(reader: Reader) -> Content:
    """A stream as Redis 5 and 6 wrote it, without counts of entries. Raises PayloadError."""
    return _read(reader, counted=False)


def _read(reader: Reader, *, counted: bool) -> Content:
    nodes = _read_nodes(reader)
    size = sum([len(node.entries) for node in nodes])
    if reader.length() != size:
        raise PayloadError("a stream is of another length than it tells")
    last_id = _read_id(reader)
    if nodes and last_id < nodes[-1].last:
        raise PayloadError("a stream's last id is below an entry's")
    max_deleted_id, entries_added = 0, size
    if counted:
        _read_id(reader)  # the first entry's, which the nodes have told
        max_deleted_id, entries_added = _read_id(reader), reader.length()
        if entries_added > INT64_MAX:
            raise PayloadError("a stream has a count below 0")
    groups: dict[bytes, StreamGroup] = {}
    for _ in range(reader.length()):
        name, group_last_id = reader.string(), _read_id(reader)
        entries_read: int | None
        if counted:
            told = reader.length()
            entries_read = told if told <= INT64_MAX else None
        else:
            first_id = nodes[0].entries[0][0] if nodes else 0
            entries_read = _estimated_read(group_last_id, first_id, last_id, size)
        if name in groups:
            raise PayloadError("a stream has a group twice")
        groups[name] = _read_group(reader, name, group_last_id, entries_read)
    return StreamContent(nodes, last_id, max_deleted_id, entries_added, list(groups.values()))


def _read_nodes(reader: Reader) -> list[StreamNode]:
    nodes: list[StreamNode] = []
    for _ in range(reader.length()):
        key = reader.string()
        if len(key) != ID_BYTES:
            raise PayloadError("a stream's node has no id")
        node = stream_node.read(int.from_bytes(key, "big"), reader.string())
        if nodes and node.first <= nodes[-1].last:
            raise PayloadError("a stream's nodes are out of order")
        if not node.entries:
            raise PayloadError("a stream's node has no entry")
        nodes.append(node)
    return nodes


def _estimated_read(group_last_id: int, first_id: int, last_id: int, size: int) -> int | None:
    """How many entries a group has read of a stream of which nothing is known to be deleted."""
    if not size:
        return 0
    if group_last_id == last_id:
        return size
    if group_last_id <= first_id:
        return int(group_last_id == first_id)
    return None


def _read_group(reader: Reader, name: bytes, last_id: int, entries_read: int | None) -> StreamGroup:
    delivered: dict[int, tuple[int, int]] = {}
    for _ in range(reader.length()):
        number = int.from_bytes(reader.take(ID_BYTES), "big")
        if number in delivered:
            raise PayloadError("an entry is pending twice")
        delivered[number] = _read_time(reader), _signed(reader.length())
    seen_ms: dict[bytes, int] = {}
    pending: dict[int, StreamPending] = {}
    for _ in range(reader.length()):
        consumer = reader.string()
        if consumer in seen_ms:
            raise PayloadError("a group has a consumer twice")
        seen_ms[consumer] = _read_time(reader)
        for _ in range(reader.length()):
            number = int.from_bytes(reader.take(ID_BYTES), "big")
            if number in pending or number not in delivered:
                raise PayloadError("a consumer has an entry that the group has not, or that is another's")
            pending[number] = StreamPending(number, consumer, *delivered[number])
    if len(pending) != len(delivered):
        raise PayloadError("a pending entry has no consumer")
    return StreamGroup(name, last_id, entries_read, seen_ms, [pending[number] for number in sorted(pending)])


def _read_id(reader: Reader) -> int:
    return reader.length() << 64 | reader.length()


def _read_time(reader: Reader) -> int:
    return int.from_bytes(reader.take(TIME_BYTES), "little", signed=True)


def _signed(number: int) -> int:
    return number if number <= INT64_MAX else number - (1 << 64)


# Writing.


def write(content: StreamContent) -> bytes:
    """A stream as Redis 7.0 writes it, without the type's byte."""
    nodes = content.nodes
    parts = [length(len(nodes))]
    for node in nodes:
        packed = stream_node.write(node)
        parts += length(ID_BYTES), _raw_id(node.first), length(len(packed)), packed
    parts += length(sum([len(node.entries) for node in nodes])), _id(content.last_id)
    parts += _id(nodes[0].entries[0][0] if nodes else 0), _id(content.max_deleted_id), length(content.entries_added)
    parts.append(length(len(content.groups)))
    for group in content.groups:
        _write_group(parts, group)
    return b"".join(parts)


def _write_group(parts: list[bytes], group: StreamGroup) -> None:
    entries_read = _UNKNOWN if group.entries_read is None else group.entries_read
    parts += string(group.name), _id(group.last_id), length(entries_read & _MASK64), length(len(group.pending))
    owned: dict[bytes, list[bytes]] = {consumer: [] for consumer in group.seen_ms}
    for pending in group.pending:
        raw = _raw_id(pending.number)
        owned[pending.consumer].append(raw)
        parts += raw, _time(pending.delivered_ms), length(pending.deliveries & _MASK64)
    parts.append(length(len(owned)))
    for consumer, ids in owned.items():
        parts += string(consumer), _time(group.seen_ms[consumer]), length(len(ids))
        parts += ids


def _id(number: int) -> bytes:
    return length(number >> 64) + length(number & _MASK64)


def _raw_id(number: int) -> bytes:
    return number.to_bytes(ID_BYTES, "big")


def _time(time_ms: int) -> bytes:
    return time_ms.to_bytes(TIME_BYTES, "little", signed=True)
