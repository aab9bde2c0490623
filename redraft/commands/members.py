"""What the commands of sets and hashes share: scanning them, and drawing from them at random."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from redraft.commands import errors, parse
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.keyspace import glob
from redraft.values.members import Members

SCAN_DEFAULT_COUNT = 10
MAX_DRAWS = 1 << 20
"""Members that one reply may repeat. Redis has no limit, and `SRANDMEMBER key -9223372036854775807` ends it."""

_COUNT_OUT_OF_RANGE = f"ERR value is out of range, value must between {-INT64_MAX} and {INT64_MAX}"

Matcher = Callable[[bytes], object]


def scan_options(argv: list[bytes]) -> tuple[Matcher | None, int]:
    """MATCH (None: everything does) and COUNT of HSCAN, SSCAN, ZSCAN: they stand after the key and the cursor."""
    pattern, count = b"*", SCAN_DEFAULT_COUNT
    for position in range(3, len(argv), 2):
        word = argv[position].lower()
        if position + 1 == len(argv):
            raise CommandError(errors.SYNTAX)
        if word == b"match":
            pattern = argv[position + 1]
        elif word == b"count":
            count = parse.integer(argv[position + 1])
            if count < 1:
                raise CommandError(errors.SYNTAX)
        else:
            raise CommandError(errors.SYNTAX)
    return (None if pattern == b"*" else glob.matcher(pattern)), count


def scanned(held: Members, cursor: int, count: int, *, whole: bool) -> tuple[bytes, range]:
    """The next cursor, and the positions to show now; all of them of a collection that Redis holds in its compact form
    (`whole`)."""
    if whole:
        return b"0", range(len(held))
    positions = held.scan(cursor, count)
    return b"%d" % positions.start, positions


def draw_count(word: bytes) -> int:
    """The count of SRANDMEMBER, HRANDFIELD, ZRANDMEMBER: negative for members that may be repeated."""
    count = parse.integer(word)
    if count < -INT64_MAX:
        raise CommandError(_COUNT_OUT_OF_RANGE)
    return count


def draw(random: Random, size: int, count: int) -> list[int]:
    """Positions drawn from `size`, which is not 0: `count` different ones at most, or `-count` that may be repeated.

    For reads only: what `sample` draws may change from one version of Python to the next.
    """
    if count < 0:
        if -count > MAX_DRAWS:
            raise CommandError(errors.OUT_OF_RANGE)
        return random.choices(range(size), k=-count)
    if count >= size:
        return list(range(size))
    return random.sample(range(size), count)
