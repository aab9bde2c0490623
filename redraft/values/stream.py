"""Streams: entries with ascending ids in nodes (`values.stream_node`), and consumer groups (`values.stream_groups`).

Disk form: a version byte, then parts (`values.parts`): the header, each node, and for each group its header and its
pending entries in slices. Ids are 16 bytes big endian. What decides where later trims cut (the sizes of nodes, what was
deleted from them) is stored too, so that a replica that was loaded trims as one that was not.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, ClassVar, Self

import msgspec

from redraft.errors import DamagedDataError
from redraft.values import codec
from redraft.values.parts import part, parts
from redraft.values.pending import Pending
from redraft.values.stream_groups import FrozenGroup, Group
from redraft.values.stream_node import ID_BYTES, MAX_ID, Fields, Node

VERSION = 1
SLICE_PENDING = 100

Entry = tuple[int, Fields]


@codec.register
class Stream:
    """Entries in order of their ids. An empty stream is a value too: it remembers its last id and its groups."""

    __slots__ = ("entries_added", "epoch", "groups", "last_id", "max_deleted_id", "nodes", "size")

    type_name: ClassVar[bytes] = b"stream"
    tag: ClassVar[int] = codec.TAG_STREAM

    def __init__(self) -> None:
        self.epoch = object()
        """Nodes with another epoch are shared with a copy, and are copied before they are changed."""
        self.nodes: list[Node] = []
        self.size = 0
        self.last_id = 0
        self.max_deleted_id = 0
        """The highest id that was deleted one by one."""
        self.entries_added = 0
        """Entries ever added."""
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.size + sum(map(len, self.groups.values()))

    @property
    def first_id(self) -> int:
        """The id of the first entry; 0 when there is none."""
        return self.nodes[0].ids[0] if self.nodes else 0

    @property
    def top_id(self) -> int:
        """The id of the last entry that is still there; 0 when there is none."""
        return self.nodes[-1].ids[-1] if self.nodes else 0

    # Entries.

    def append(self, number: int, fields: Fields) -> None:
        """Add an entry whose id is above `last_id`."""
        nodes = self.nodes
        if nodes and nodes[-1].has_room(sum(map(len, fields))):
            self._own(len(nodes) - 1).add(number, fields)
        else:
            nodes.append(Node(self.epoch, number, fields))
        self.last_id = number
        self.entries_added += 1
        self.size += 1

    def _own(self, place: int) -> Node:
        node = self.nodes[place]
        if node.epoch is not self.epoch:
            node = self.nodes[place] = node.copy(self.epoch)
        return node

    def _place(self, number: int) -> int:
        """The node that may hold an id; -1 when it is below all."""
        return bisect_right(self.nodes, number, key=_first) - 1

    def maybe_entry(self, number: int) -> Fields | None:
        """An entry's fields and values, if it is there."""
        place = self._place(number)
        if place < 0:
            return None
        node = self.nodes[place]
        position = node.position(number)
        return node.entries[position] if position >= 0 else None

    def delete(self, number: int) -> bool:
        """Delete an entry; whether it was there."""
        place = self._place(number)
        if place < 0 or (position := self.nodes[place].position(number)) < 0:
            return False
        node = self._own(place)
        node.remove(position, position + 1)
        if not node.ids:
            del self.nodes[place]
        self.size -= 1
        self.max_deleted_id = max(self.max_deleted_id, number)
        return True

    def walk(self, start: int, end: int, *, backwards: bool = False) -> Iterator[Entry]:
        """Entries with ids from `start` to `end`, both included. The stream must not change meanwhile."""
        if start > end or not self.nodes:
            return
        if backwards:
            for place in range(self._place(end), -1, -1):
                node = self.nodes[place]
                for position in range(bisect_right(node.ids, end) - 1, -1, -1):
                    if node.ids[position] < start:
                        return
                    yield node.ids[position], node.entries[position]
            return
        for place in range(max(self._place(start), 0), len(self.nodes)):
            node = self.nodes[place]
            for position in range(bisect_left(node.ids, start), len(node.ids)):
                if node.ids[position] > end:
                    return
                yield node.ids[position], node.entries[position]

    def trim(self, max_length: int | None, min_id: int | None, *, whole_nodes: bool, limit: int) -> int:
        """Delete entries from the beginning, until `max_length` are left or none is below `min_id`; how many. Whole
        nodes only when that is enough; and no more than `limit`, if that is not 0 (t_stream.c, streamTrim)."""
        deleted = gone = 0
        for node in self.nodes:
            if max_length is not None and self.size - deleted <= max_length:
                break
            count = len(node.ids)
            if limit and deleted + count > limit:
                break
            if self._may_go(node, deleted + count, max_length, min_id):
                deleted += count
                gone += 1
                continue
            if not whole_nodes:
                if max_length is not None:
                    part = self.size - deleted - max_length
                else:
                    part = bisect_left(node.ids, min_id or 0)
                if part:
                    self._own(gone).remove(0, part)
                    deleted += part
                    gone += part == count
            break
        del self.nodes[:gone]
        self.size -= deleted
        return deleted

    def _may_go(self, node: Node, deleted: int, max_length: int | None, min_id: int | None) -> bool:
        if max_length is not None:
            return self.size - deleted >= max_length
        return node.last < (min_id or 0)

    # Where a reader is (t_stream.c: streamRangeHasTombstones, streamEstimateDistanceFromFirstEverEntry).

    def is_gapless_after(self, number: int) -> bool:
        """Whether no entry with this id or a higher one is known to have been deleted."""
        if not self.size or not self.max_deleted_id or self.first_id > self.max_deleted_id:
            return True
        return number > self.max_deleted_id

    def maybe_count_to(self, number: int) -> int | None:
        """How many entries were ever added up to an id; None when that cannot be told."""
        if not self.entries_added:
            return 0
        if (not self.size and number <= self.last_id) or number == self.last_id:
            return self.entries_added
        if number > self.last_id:
            return None
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if number < self.first_id:
                return self.entries_added - self.size
            if number == self.first_id:
                return self.entries_added - self.size + 1
        return None

    # What a value must be able to do.

    def release(self, count: int) -> int:
        """Free some entries of a stream that nothing refers to any more; how many."""
        freed = 0
        while self.nodes and freed < count:
            gone = len(self.nodes.pop().ids)
            self.size -= gone
            freed += gone
        for name, group in list(self.groups.items()):
            if freed >= count:
                break
            freed += group.release(count - freed)
            if not len(group):
                del self.groups[name]
        return freed

    def freeze(self) -> FrozenStream:
        """A copy to encode later. It shares the nodes."""
        self.epoch = object()
        groups = [(name, group.freeze()) for name, group in sorted(self.groups.items())]
        return FrozenStream(self.nodes.copy(), self._header(), groups)

    def _header(self) -> list[Any]:
        return [_packed(self.last_id), _packed(self.max_deleted_id), self.entries_added, len(self.nodes)]

    def copy(self) -> Self:
        """An independent stream. Both copy the nodes that they change."""
        twin = type(self)()
        self.epoch = object()
        twin.nodes = self.nodes.copy()
        twin.size = self.size
        twin.last_id, twin.max_deleted_id = self.last_id, self.max_deleted_id
        twin.entries_added = self.entries_added
        twin.groups = {name: group.copy() for name, group in self.groups.items()}
        return twin

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The stream whose pieces joined to `payload`. Raises DamagedDataError."""
        if payload[:1] != bytes((VERSION,)):
            raise DamagedDataError("a stream is of an unknown version")
        stream = cls()
        try:
            objects = map(msgspec.msgpack.decode, parts(payload, 1))
            last_id, max_deleted_id, stream.entries_added, nodes = next(objects)
            stream.last_id, stream.max_deleted_id = _unpacked(last_id), _unpacked(max_deleted_id)
            for _ in range(nodes):
                stream.nodes.append(_read_node(stream.epoch, next(objects)))
            for name, group_last_id, entries_read, seen_ms, slices in objects:
                group = stream.groups[name] = Group(_unpacked(group_last_id), entries_read)
                group.seen_ms = seen_ms
                for _ in range(slices):
                    for number, consumer, delivered_ms, deliveries in next(objects):
                        group.assign(_unpacked(number), Pending(consumer, delivered_ms, deliveries))
            stream.size = sum(len(node.ids) for node in stream.nodes)
            stream.check()
        except (msgspec.MsgspecError, ValueError, TypeError, StopIteration, KeyError, AssertionError) as error:
            raise DamagedDataError(f"a stream is damaged: {error}") from error
        return stream

    def encoding(self) -> bytes:
        """`stream`, the only one."""
        return b"stream"

    def memory_bytes(self) -> int:
        """Estimated from the first node and the last."""
        ends = self.nodes[:1] + self.nodes[1:][-1:]
        rows = [fields for node in ends for fields in node.entries]
        sampled = sum(60 + sys.getsizeof(fields) + sum(map(sys.getsizeof, fields[1::2])) for fields in rows)
        entries = sampled * self.size // max(1, len(rows))
        return 300 + entries + sum(205 * len(group) + 200 * len(group.seen_ms) for group in self.groups.values())

    def check(self) -> None:
        """Assert the invariants."""
        assert self.size == sum(len(node.ids) for node in self.nodes)
        for node in self.nodes:
            node.check()
            assert node.ids
        assert all(low.last < high.first for low, high in zip(self.nodes, self.nodes[1:], strict=False))
        assert self.top_id <= self.last_id <= MAX_ID
        for group in self.groups.values():
            group.check()


class FrozenStream:
    """A stream as of one instant. Its lists are its own, which it lets go of as it encodes them."""

    __slots__ = ("_groups", "_header", "_nodes")

    def __init__(self, nodes: list[Node], header: list[Any], groups: list[tuple[bytes, FrozenGroup]]) -> None:
        self._nodes = nodes
        self._header = header
        self._groups = groups

    def pieces(self) -> Iterator[bytes]:
        """The payload in pieces. To be called once."""
        yield bytes((VERSION,))
        yield part(self._header)
        for node in self._nodes:
            ids = [_packed(number) for number in node.ids]
            edges = [_packed(node.first), _packed(node.last), node.deleted, node.size_bytes]
            yield part([*edges, node.names, ids, node.entries])
        self._nodes = []
        for name, group in self._groups:
            slices = -(-sum(map(len, group.pending)) // SLICE_PENDING)
            yield part([name, _packed(group.last_id), group.entries_read, group.seen_ms, slices])
            entries = chain.from_iterable(chunk.items() for chunk in group.pending)
            while taken := list(islice(entries, SLICE_PENDING)):
                yield part([[_packed(number), *pending] for number, pending in taken])


def _first(node: Node) -> int:
    return node.first


def _packed(number: int) -> bytes:
    return number.to_bytes(ID_BYTES, "big")


def _unpacked(data: bytes) -> int:
    if len(data) != ID_BYTES:
        raise ValueError("an id has another length")
    return int.from_bytes(data, "big")


def _read_node(epoch: object, parts: list[Any]) -> Node:
    first, last, deleted, size_bytes, names, ids, entries = parts
    node = Node.__new__(Node)
    node.epoch = epoch
    node.first, node.last = _unpacked(first), _unpacked(last)
    node.deleted, node.size_bytes = deleted, size_bytes
    node.names = tuple(names)
    node.ids = [_unpacked(number) for number in ids]
    shared = [node.shared(tuple(fields)) if tuple(fields[::2]) == node.names else tuple(fields) for fields in entries]
    node.entries = shared
    return node
