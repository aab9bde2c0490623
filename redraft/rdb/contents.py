"""Contents: what a payload says, whatever encoding it says it in.

`compact` asks for the small encoding of a collection (listpack, intset) when it is written; readers leave it False,
since who takes the contents decides by its own thresholds.

An entry's id in a stream is one integer, milliseconds << 64 | sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StringContent:
    """A string."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ListContent:
    """A list's elements; there is at least one, as in every collection but a stream."""

    elements: list[bytes]


@dataclass(frozen=True, slots=True)
class SetContent:
    """Distinct members; `compact` only if all of them are 64-bit integers."""

    members: list[bytes]
    compact: bool = False


@dataclass(frozen=True, slots=True)
class HashContent:
    """Distinct fields, and the value of each."""

    fields: list[bytes]
    values: list[bytes]
    compact: bool = False


@dataclass(frozen=True, slots=True)
class SortedSetContent:
    """Pairs of a score, which is a number, and a distinct member; in order."""

    pairs: list[tuple[float, bytes]]
    compact: bool = False


@dataclass(frozen=True, slots=True)
class StreamNode:
    """A run of entries of a stream."""

    first: int
    """The id that the node began with, also when that entry is gone."""
    last: int
    """The highest id that was ever in it."""
    deleted: int
    """Entries that were deleted one by one."""
    names: tuple[bytes, ...]
    """The fields of the entry that the node began with."""
    entries: list[tuple[int, tuple[bytes, ...]]]
    """Those that are there, at least one, with ascending ids: field, value, field, value …"""
    size_bytes: int = field(default=0, compare=False)
    """What the node took in the payload; of no meaning to the writer."""


@dataclass(frozen=True, slots=True)
class StreamPending:
    """An entry that was delivered to a consumer and not yet acknowledged."""

    number: int
    """Its id; it need not be in the stream any more."""
    consumer: bytes
    delivered_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class StreamGroup:
    """A consumer group."""

    name: bytes
    last_id: int
    entries_read: int | None
    seen_ms: dict[bytes, int]
    """The consumers: when each was heard of last."""
    pending: list[StreamPending]
    """In order of ids."""


@dataclass(frozen=True, slots=True)
class StreamContent:
    """A stream; it may be empty."""

    nodes: list[StreamNode]
    last_id: int
    max_deleted_id: int
    entries_added: int
    groups: list[StreamGroup]


Content: TypeAlias = StringContent | ListContent | SetContent | HashContent | SortedSetContent | StreamContent
