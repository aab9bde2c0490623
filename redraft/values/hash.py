"""Hashes: fields with their values.

The fields are `Members`, in an order of their own; the values stand in a second list, each at its field's position.

Redis holds a hash as a listpack while it is small and its strings are short, and as a hash table from then on. Here
that difference is one flag, which OBJECT ENCODING, DUMP and HSCAN ask for.
"""

from __future__ import annotations

import sys
from typing import ClassVar, Self

from redraft.errors import DamagedDataError
from redraft.values import codec, slices
from redraft.values.members import Members, longest, sampled_bytes
from redraft.values.thresholds import IN_FORCE


@codec.register
class Hash(Members):
    """Fields (`members`) and their values.

    >>> capitals = Hash()
    >>> capitals.set(b"France", b"Paris")
    True
    >>> capitals.get(b"France")
    b'Paris'
    """

    __slots__ = "values"

    type_name: ClassVar[bytes] = b"hash"
    tag: ClassVar[int] = codec.TAG_HASH

    def __init__(self, fields: list[bytes] | None = None, values: list[bytes] | None = None) -> None:
        """The lists are this object's from now on."""
        super().__init__(fields)
        self.values: list[bytes] = [] if values is None else values
        """By position; for reading only."""
        limit = IN_FORCE.hash_max_listpack_value
        self.compact = len(self.members) <= IN_FORCE.hash_max_listpack_entries and not (
            longest(self.members) > limit or longest(self.values) > limit
        )

    def get(self, field: bytes) -> bytes | None:
        """The field's value, or None."""
        position = self.position(field)
        return self.values[position] if position >= 0 else None

    def set(self, field: bytes, value: bytes) -> bool:
        """Give a field a value; whether the field is new."""
        position = self.position(field)
        new = position < 0
        if new:
            self.append(field)
            self.values.append(value)
        else:
            self.values[position] = value
        if self.compact:
            limit = IN_FORCE.hash_max_listpack_value
            if len(field) > limit or len(value) > limit or len(self.members) > IN_FORCE.hash_max_listpack_entries:
                self.compact = False
        return new

    def remove(self, field: bytes) -> bool:
        """Remove a field; whether it was there."""
        position = self.discard(field)
        if position < 0:
            return False
        last = self.values.pop()
        if position < len(self.values):
            self.values[position] = last
        return True

    def release(self, count: int) -> int:
        """As `Members.release`, the values included."""
        del self.values[-count:]
        return super().release(count)

    def freeze(self) -> slices.FrozenRows:
        """A copy to encode later: 8 to 50 ms for a million fields, by how its objects lie in memory."""
        return slices.FrozenRows(self.members.copy(), self.values.copy())

    def copy(self) -> Self:
        """An independent hash."""
        twin = type(self)()
        self._copy_into(twin)
        twin.values = self.values.copy()
        twin.compact = self.compact
        return twin

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The hash whose pieces joined to `payload`. Raises DamagedDataError."""
        fields, values = slices.decode(payload, 2)
        read = cls(fields, values)
        if not read.are_distinct():
            raise DamagedDataError("a hash has a field twice")
        return read

    def encoding(self) -> bytes:
        """`listpack` or `hashtable`."""
        return b"listpack" if self.compact else b"hashtable"

    def memory_bytes(self) -> int:
        """Estimated by sampling."""
        return self.memory_of_members() + sys.getsizeof(self.values) + sampled_bytes(self.values)

    def check(self) -> None:
        """Assert the invariants."""
        super().check()
        assert len(self.values) == len(self.members)
