"""A node of a stream: a run of entries, cut where Redis 7.0 cuts it.

An entry's id is one integer, milliseconds << 64 | sequence: ids compare, count up and hash as integers do.

Theory: Redis keeps about a hundred entries in one listpack, and trims by whole listpacks when `~` is asked for. So that
the same trims remove the same entries, a node closes when the listpack would have become too large; `size_bytes` is the
size that it would have (t_stream.c, streamAppendItem; listpack.c). The limits are Redis's defaults and constants here,
not `stream-node-max-*`: what a trim removes must not depend on the configuration of the moment.

A node belongs to one stream, named by its `epoch`; a stream that was frozen or copied has a new epoch, and copies a
node that it still shares before it changes it. So freezing a stream of a million entries copies ten thousand pointers.

An entry is a flat tuple of fields and values, which a reply can hold as it is. Entries with the field names of the
node's first one share them with it.
"""

from __future__ import annotations

from bisect import bisect_left

from redraft.integers import parse_int64

Fields = tuple[bytes, ...]
"""An entry: field, value, field, value …"""

MASK64 = (1 << 64) - 1
MAX_ID = (1 << 128) - 1
ID_BYTES = 16
NODE_MAX_ENTRIES = 100
"""Entries of a node, deleted ones included."""
NODE_MAX_BYTES = 4096

_EMPTY_LISTPACK_BYTES = 7
_SMALL_INTEGER_BYTES = 2
_INTEGER_TEXT_MAX = 20


def show_id(number: int) -> bytes:
    """An id as clients see it.

    >>> show_id(1526919030474 << 64 | 55)
    b'1526919030474-55'
    """
    return b"%d-%d" % (number >> 64, number & MASK64)


class Node:
    """Entries with ascending ids, those that were deleted taken out."""

    __slots__ = ("deleted", "entries", "epoch", "first", "ids", "last", "names", "size_bytes")

    def __init__(self, epoch: object, first: int, fields: Fields) -> None:
        """A node with its first entry."""
        self.epoch = epoch
        self.first = first
        """The id that the node began with, also when that entry is gone."""
        self.last = first
        """The highest id that was ever in it."""
        self.names = fields[::2]
        """The fields of the entry that the node began with."""
        self.ids = [first]
        self.entries = [fields]
        self.deleted = 0
        """Entries that were deleted one by one, which still count towards the node's limit."""
        self.size_bytes = (
            _EMPTY_LISTPACK_BYTES
            + 3 * _SMALL_INTEGER_BYTES
            + _integer_bytes(len(self.names))
            + sum(map(_string_bytes, self.names))
            + self._entry_bytes(first, fields, same_names=True)
        )

    def has_room(self, content_bytes: int) -> bool:
        """Whether an entry with so many bytes of fields and values goes into this node."""
        return self.size_bytes + content_bytes < NODE_MAX_BYTES and len(self.ids) + self.deleted < NODE_MAX_ENTRIES

    def add(self, number: int, fields: Fields) -> None:
        """Append an entry whose id is above all others."""
        same_names = fields[::2] == self.names
        self.size_bytes += self._entry_bytes(number, fields, same_names)
        self.ids.append(number)
        self.entries.append(self.shared(fields) if same_names else fields)
        self.last = number

    def shared(self, fields: Fields) -> Fields:
        """The same fields, with this node's own names: they must be equal to them."""
        flat = list(fields)
        flat[::2] = self.names
        return tuple(flat)

    def position(self, number: int) -> int:
        """Where the entry stands in `ids` and `entries`; -1 when it is not there."""
        position = bisect_left(self.ids, number)
        return position if position < len(self.ids) and self.ids[position] == number else -1

    def remove(self, start: int, end: int) -> None:
        """Delete the entries at these positions."""
        del self.ids[start:end], self.entries[start:end]
        self.deleted += end - start

    def copy(self, epoch: object) -> Node:
        """The same entries, for the stream of `epoch` to change."""
        twin = Node.__new__(Node)
        twin.epoch = epoch
        twin.first, twin.last, twin.names = self.first, self.last, self.names
        twin.ids, twin.entries = self.ids.copy(), self.entries.copy()
        twin.deleted, twin.size_bytes = self.deleted, self.size_bytes
        return twin

    def _entry_bytes(self, number: int, fields: Fields, same_names: bool) -> int:
        """What an entry takes in a listpack: flags, the id's two differences, its fields, and a count of all these."""
        count = len(self.names) if same_names else len(fields) // 2
        size = _SMALL_INTEGER_BYTES
        size += _integer_bytes((number >> 64) - (self.first >> 64))
        size += _integer_bytes((number & MASK64) - (self.first & MASK64))
        if same_names:
            return size + sum(map(_string_bytes, fields[1::2])) + _integer_bytes(count + 3)
        return size + _integer_bytes(count) + sum(map(_string_bytes, fields)) + _integer_bytes(2 * count + 4)

    def check(self) -> None:
        """Assert the invariants."""
        assert len(self.ids) == len(self.entries)
        assert all(low < high for low, high in zip(self.ids, self.ids[1:], strict=False))
        assert not self.ids or self.first <= self.ids[0] <= self.ids[-1] <= self.last
        assert 0 < len(self.ids) + self.deleted <= NODE_MAX_ENTRIES
        assert all(fields and len(fields) % 2 == 0 for fields in self.entries)


def _integer_bytes(number: int) -> int:
    """The size of an integer in a listpack; it wraps round as a signed 64-bit one."""
    if 0 <= number < 128:
        return _SMALL_INTEGER_BYTES
    number = (number + (1 << 63) & MASK64) - (1 << 63)
    bits = (number if number >= 0 else ~number).bit_length() + 1
    if bits <= 13:
        return 3
    return 10 if bits > 32 else 2 + (bits + 7) // 8


def _string_bytes(data: bytes) -> int:
    """The size of a string in a listpack, which holds as integers what looks like them."""
    size = len(data)
    if 0 < size <= _INTEGER_TEXT_MAX and data[0] < 0x3A:
        number = parse_int64(data)
        if number is not None:
            return _integer_bytes(number)
    if size < 64:
        return size + 2
    whole = size + (2 if size < 4096 else 5)
    if whole < 128:
        return whole + 1
    return whole + (2 if whole < 16383 else 3 if whole < 2097151 else 4 if whole < 268435455 else 5)
