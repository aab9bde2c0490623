"""The keys of a database in order, sorted when somebody asks or when there is time.

Theory. Adding a key to a `SortedList` of a million costs 2 µs and more, nearly all of it cache misses, and most keys
are never asked for in order before they have long been written. So a new key is first put into `fresh`, a dict; a
thousand of them are sorted into a *run* (0.3 µs a key); eight runs are merged into one (0.1 µs a key, since sorting
finds what is sorted already); and when there is nothing else to do, runs are moved into the sorted list in slices: a
longer run in half the time, since keys that stand side by side there share the cache. A scan merges the sorted list
with whatever runs there are. It is the idea of a log-structured merge tree.

A key that is deleted while it stands in a run stays there and is noted in `gone`.

Invariants (`check`): each key stands in exactly one of `settled`, one run and `fresh`; `gone` holds keys of runs only.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random

from sortedcontainers import SortedList

RUN_KEYS = 1024
"""Keys sorted at once: a third of a millisecond."""
RUNS_MERGED = 8
"""Runs that are merged into one, which takes a millisecond; longer ones are not merged again."""
SMALL_RUN_KEYS = 64
"""Fewer fresh keys than this are settled at once when somebody asks for order."""
MAX_RUNS = 128
"""Runs that may wait to be settled: beyond, each new run settles twice as many keys as it has."""

_ABSENT = object()


class KeyOrder:
    """An ordered set of byte strings, made for many additions and few scans.

    >>> order = KeyOrder([b"a", b"c"])
    >>> order.add(b"b")
    >>> list(order.keys_from(b"b"))
    [b'b', b'c']
    """

    __slots__ = ("_fresh", "_gone", "_settled", "runs")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._settled: SortedList[bytes] = SortedList(keys)
        self.runs: list[list[bytes]] = []
        """Sorted keys that are to be settled; for reading only."""
        self._fresh: dict[bytes, None] = {}
        self._gone: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._settled) + sum(map(len, self.runs)) + len(self._fresh) - len(self._gone)

    def add(self, key: bytes) -> None:
        """Add a key that is not there; O(1), and a share of a sort."""
        if self._gone and key in self._gone:
            self._gone.remove(key)
            return
        self._fresh[key] = None
        if len(self._fresh) >= RUN_KEYS:
            self._close_run()

    def add_all(self, keys: list[bytes]) -> None:
        """Add keys that are not there, each once."""
        if self._gone:
            for key in keys:
                self.add(key)
            return
        self._fresh.update(dict.fromkeys(keys))
        if len(self._fresh) >= RUN_KEYS:
            self._close_run()

    def discard(self, key: bytes) -> None:
        """Remove a key that is there; O(log n)."""
        if self._fresh.pop(key, _ABSENT) is not _ABSENT:
            return
        if not self.runs:
            self._settled.remove(key)
            return
        if key in self._settled:
            self._settled.remove(key)
        else:
            self._gone.add(key)

    def keys_from(self, start: bytes, *, after: bool = False) -> Iterator[bytes]:
        """The keys in ascending order from `start` on (`after`: without `start` itself), while nothing is changed."""
        self._close_run()
        settled = self._settled.irange(start, inclusive=(not after, True))
        if not self.runs:
            return settled
        find = bisect_right if after else bisect_left
        runs = [islice(run, find(run, start), None) for run in self.runs]
        gone = self._gone
        return (key for key in heapq.merge(settled, *runs) if key not in gone)

    def random(self, random: Random) -> bytes:
        """A key drawn uniformly. Raises IndexError when there is none."""
        self._close_run()
        if not len(self):
            raise IndexError("there is no key")
        parts = [self._settled, *self.runs]
        while True:
            position = random.randrange(sum(map(len, parts)))
            for part in parts:
                if position < len(part):
                    key: bytes = part[position]
                    break
                position -= len(part)
            if key not in self._gone:
                return key

    def settle(self, keys: int) -> None:
        """Find the places of about so many keys of the runs; a few microseconds each."""
        gone = self._gone
        settled = self._settled
        while self.runs and keys > 0:
            run = self.runs[-1]
            taken = run[-keys:]
            del run[-keys:]
            keys -= len(taken)
            for key in taken:
                if key in gone:
                    gone.remove(key)
                else:
                    settled.add(key)
            if not run:
                self.runs.pop()

    def release(self, keys: int) -> int:
        """Forget about so many keys of a set that nobody needs any more; how many it was. From then on `len` counts
        deleted keys that still stand in a run too."""
        self._gone.clear()
        for part in (*self.runs, self._settled):
            if len(part):
                taken = min(keys, len(part))
                del part[-taken:]
                return taken
        taken = len(self._fresh)
        self.runs.clear()
        self._fresh.clear()
        return max(taken, 1)

    def _close_run(self) -> None:
        fresh = self._fresh
        if not fresh:
            return
        self._fresh = {}
        if len(fresh) <= SMALL_RUN_KEYS:
            self._settled.update(fresh)
            return
        runs = self.runs
        if len(runs) >= MAX_RUNS:
            self.settle(2 * len(fresh))
        runs.append(sorted(fresh))
        newest = runs[-RUNS_MERGED:]
        if len(newest) == RUNS_MERGED and max(map(len, newest)) < 2 * RUN_KEYS:
            merged = newest[0]
            for run in newest[1:]:
                merged += run
            merged.sort()
            del runs[1 - RUNS_MERGED :]

    def check(self) -> None:
        """Assert the invariants; O(n log n)."""
        parts = [list(self._settled), *self.runs, sorted(self._fresh)]
        assert all(part == sorted(part) for part in parts)
        together = [key for part in parts for key in part]
        assert len(together) == len(set(together))
        assert self._gone <= {key for run in self.runs for key in run}
