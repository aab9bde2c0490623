"""The contract that every collection type keeps with the keyspace and the image.

Theory: a flush writes every dirty key *as of one log index* while commands go on changing values in place. So a
value that is about to be changed is first frozen: a shallow copy at C speed (tens of milliseconds for a million
members, because members are immutable), from which the flush encodes at its leisure, piece by piece. Strings need no
freezing when they are `bytes`; a `bytearray` is copied.

Invariants a class must keep:

* members are immutable (`bytes`, `int`, `float`, tuples of them), so that a shallow copy is a true one;
* iteration order is insertion order or sorted order, never a Python set's: the same log gives the same bytes
  on every replica, and `encode` of equal values built by the same commands is equal;
* `decode(b"".join(freeze().pieces()))` equals the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol, Self, TypeAlias


class Frozen(Protocol):
    """A value as of one instant, encoded in slices."""

    def pieces(self) -> Iterator[bytes]:
        """The payload on disk, in pieces that each take well under a millisecond to make."""


class Value(Protocol):
    """A collection type."""

    type_name: ClassVar[bytes]
    """What TYPE answers: `list`, `hash`, `set`, `zset`, `stream`."""
    tag: ClassVar[int]
    """The type's byte in an image record (see `values.codec`); never reused."""

    def __len__(self) -> int:
        """Members. A collection that becomes empty is deleted by the command that emptied it."""

    def freeze(self) -> Frozen:
        """A copy to encode later; at most tens of ms for a million members."""

    def copy(self) -> Self:
        """An independent value (COPY)."""

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The value whose pieces joined to `payload`. Raises DamagedDataError when it is none."""

    def encoding(self) -> bytes:
        """How Redis would hold such a value (OBJECT ENCODING): `listpack`, `hashtable` …"""

    def memory_bytes(self) -> int:
        """Estimated bytes of memory, within a factor of two of the truth; O(1) or by sampling."""

    def check(self) -> None:
        """Assert the invariants."""


StringValue: TypeAlias = bytes | bytearray
AnyValue: TypeAlias = bytes | bytearray | Value
