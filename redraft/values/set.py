"""Sets: `Members`, and nothing beside them.

Redis 7.0 holds a set as an intset while all its members are integers and they are few, and as a hash table from then
on. Here that difference is one flag, which OBJECT ENCODING, DUMP and SSCAN ask for.
"""

from __future__ import annotations

from typing import ClassVar, Self

from redraft.errors import DamagedDataError
from redraft.integers import parse_int64
from redraft.values import codec, slices
from redraft.values.members import Members
from redraft.values.thresholds import IN_FORCE


@codec.register
class Set(Members):
    """Distinct members.

    >>> primes = Set([b"2", b"3"])
    >>> primes.add(b"3"), primes.add(b"5")
    (False, True)
    """

    __slots__ = ("_integers",)

    type_name: ClassVar[bytes] = b"set"
    tag: ClassVar[int] = codec.TAG_SET

    def __init__(self, members: list[bytes] | None = None) -> None:
        """`members` are distinct, and the list is this object's from now on."""
        super().__init__(members)
        self.compact = fits_intset(self.members)

    def add(self, member: bytes) -> bool:
        """Add a member; whether it is new."""
        if member in self:
            return False
        self.append(member)
        if self.compact and (len(self.members) > IN_FORCE.set_max_intset_entries or parse_int64(member) is None):
            self.compact = False
        return True

    def remove(self, member: bytes) -> bool:
        """Remove a member; whether it was there."""
        return self.discard(member) >= 0

    def pop(self, position: int) -> bytes:
        """Remove the member at a position."""
        member = self.members[position]
        self.discard(member)
        return member

    def encode_as_built_of(self, members: list[bytes]) -> None:
        """Take the encoding of a set that was built by adding these members one by one."""
        self.compact = fits_intset(members)

    def freeze(self) -> slices.FrozenRows:
        """A copy to encode later: about 4 ms for a million members."""
        return slices.FrozenRows(self.members.copy())

    def copy(self) -> Self:
        """An independent set."""
        twin = type(self)()
        self._copy_into(twin)
        twin.compact = self.compact
        return twin

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The set whose pieces joined to `payload`. Raises DamagedDataError."""
        (members,) = slices.decode(payload, 1)
        read = cls(members)
        if not read.are_distinct():
            raise DamagedDataError("a set has a member twice")
        return read

    def encoding(self) -> bytes:
        """`intset` or `hashtable`."""
        return b"intset" if self.compact else b"hashtable"

    def memory_bytes(self) -> int:
        """Estimated by sampling."""
        return self.memory_of_members()


def fits_intset(members: list[bytes]) -> bool:
    """Whether Redis would hold these members as an intset if they were added one by one."""
    return len(members) <= IN_FORCE.set_max_intset_entries and not any(
        parse_int64(member) is None for member in members
    )
