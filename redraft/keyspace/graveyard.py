"""Large things that nothing refers to any more, freed a slice a tick.

Theory: Python frees an object with all that it holds when the last reference goes. For a collection of a million
members that takes 50 to 300 ms, in which no client would be served. So whatever lets go of something large puts it
here, and `bury` takes it apart: dicts and sets by their elements, collections and orders by their `release`.

Invariant: nobody else reads or changes what is here.
"""

from __future__ import annotations

from typing import Any

from sortedcontainers import SortedSet

LARGE_MEMBERS = 10_000
"""A collection with more members than this is freed in slices."""


class Graveyard:
    """What is to be freed; the last to come goes first."""

    __slots__ = ("_dead",)

    def __init__(self) -> None:
        self._dead: list[Any] = []

    def __len__(self) -> int:
        return len(self._dead)

    def retire(self, value: Any) -> None:
        """Let go of a key's value; a small one is freed with the caller's reference."""
        if hasattr(value, "release") and len(value) > LARGE_MEMBERS:
            self._dead.append(value)

    def take_in(self, *parts: Any) -> None:
        """Let go of dicts, sets and whatever has a `release`, of any size, with the values in the dicts."""
        self._dead += parts

    def inherit(self, other: Graveyard) -> None:
        """Free all that stands in another."""
        self._dead += other._dead

    def bury(self, members: int) -> None:
        """Free about `members` members."""
        dead = self._dead
        while dead and members > 0:
            last = dead[-1]
            taken = min(members, len(last))
            if not taken:
                dead.pop()
            elif isinstance(last, dict):
                for _ in range(taken):
                    self.retire(last.popitem()[1])
                members -= taken
            elif isinstance(last, (set, SortedSet)):
                for _ in range(taken):
                    last.pop()
                members -= taken
            else:
                members -= last.release(taken)
