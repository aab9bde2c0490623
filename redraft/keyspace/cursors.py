"""SCAN's cursors: numbers that stand for "go on after this key".

Theory: Redis encodes a position of its hash table in the cursor. Here keys are ordered, and the only position that
survives deletes is the last key that was returned; it may be 512 MB long, so it is kept here and the client gets a
number. What a scan inside a collection remembers (HSCAN, SSCAN, ZSCAN) is that scan's own affair: any object.
The table is bounded and belongs to one node, whose cursors begin at a number of its own: a cursor that was forgotten,
or comes from another node, starts over, which SCAN's contract allows (an element may be returned more than once; none
that stays is missed).
"""

from __future__ import annotations

CURSOR_LIMIT = 4096
"""Scans that may be under way at once; the oldest is forgotten first."""


class Cursors:
    """The positions of the scans under way on this node.

    >>> cursors = Cursors()
    >>> cursors.position(cursors.remember(b"user:17"))
    b'user:17'
    """

    __slots__ = ("_next", "_positions")

    def __init__(self, first: int = 1) -> None:
        self._positions: dict[int, object] = {}
        self._next = first

    def remember(self, position: object) -> int:
        """A cursor that stands for `position` (SCAN: the last key returned); never 0, which means start and end."""
        cursor = self._next
        self._next += 1
        self._positions[cursor] = position
        if len(self._positions) > CURSOR_LIMIT:
            del self._positions[next(iter(self._positions))]
        return cursor

    def position(self, cursor: int) -> object | None:
        """What was remembered under `cursor`, or None when the scan starts (over)."""
        return self._positions.get(cursor)
