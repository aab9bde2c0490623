"""Contents: what a payload says, whatever encoding it says it in.

`compact` asks for the small encoding of a collection (listpack, intset) when it is written; readers leave it False,
since who takes the contents decides by its own thresholds.

An entry's id in a stream is one integer, milliseconds << 64 | sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
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


Content: TypeAlias = StringContent | ListContent | SetContent | HashContent | SortedSetContent
