"""The longest common subsequence of two strings, by bits.

Theory (Crochemore and others, 2001; Hyyrö, 2004). Row i of the usual table grows by at most 1 from column to column, so
the row is a bit vector: a 0 at bit j says that the column after it is larger. The next row follows from the last one by
one addition on whole vectors, and Python adds integers of thousands of bits at C speed. The value in column j is the
count of zeros below bit j. All rows are kept, since the way back through the table needs them.

The way back is Redis's (t_string.c, lcsCommand): of several longest subsequences it finds the same one.
"""

from __future__ import annotations

from typing import NamedTuple


class Match(NamedTuple):
    """A run of bytes that both strings have: first and last positions in each."""

    first: tuple[int, int]
    second: tuple[int, int]

    @property
    def size(self) -> int:
        """Bytes of the run."""
        return self.first[1] - self.first[0] + 1


class Table:
    """The table of two strings."""

    def __init__(self, first: bytes, second: bytes) -> None:
        self._first = first
        self._second = second
        columns = (1 << len(second)) - 1
        places: dict[int, int] = {}
        for position, byte in enumerate(second):
            places[byte] = places.get(byte, 0) | 1 << position
        row = columns
        self._rows = [row]
        for byte in first:
            place = places.get(byte, 0)
            row = (row + (row & place) | row & ~place) & columns
            self._rows.append(row)

    def length(self) -> int:
        """The length of the longest common subsequence."""
        return self._value(len(self._first), len(self._second))

    def _value(self, row: int, column: int) -> int:
        return column - (self._rows[row] & (1 << column) - 1).bit_count()

    def walk(self) -> tuple[bytes, list[Match]]:
        """The subsequence, and the runs that it is made of, the last one first."""
        first, second = self._first, self._second
        found = bytearray()
        matches: list[Match] = []
        run: list[int] | None = None  # positions: begin and end in the first, begin and end in the second
        row, column = len(first), len(second)
        while row and column:
            ended = False
            if first[row - 1] == second[column - 1]:
                row -= 1
                column -= 1
                found.append(first[row])
                if run is None:
                    run = [row, row, column, column]
                elif run[0] == row + 1 and run[2] == column + 1:
                    run[0], run[2] = row, column
                else:
                    ended = True
                ended = ended or run[0] == 0 or run[2] == 0
            else:
                if self._value(row - 1, column) > self._value(row, column - 1):
                    row -= 1
                else:
                    column -= 1
                ended = run is not None
            if ended and run is not None:
                matches.append(Match((run[0], run[1]), (run[2], run[3])))
                run = None
        found.reverse()
        return bytes(found), matches
