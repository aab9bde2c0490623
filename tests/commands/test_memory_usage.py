"""MEMORY USAGE is within a factor of two of what Python's allocator says a key takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from support.member import Member


def _string(number: int, size: int) -> list[list[bytes]]:
    return [[b"SET", b"key", b"%0*d" % (size * number, 1)]]


def _many(name: bytes, words: Callable[[int, int], list[bytes]]) -> Callable[[int, int], list[list[bytes]]]:
    return lambda number, size: [[name, b"key", *(word for n in range(number) for word in words(n, size))]]


def _stream(number: int, size: int) -> list[list[bytes]]:
    return [[b"XADD", b"key", b"%d-1" % (n + 1), b"field", b"%0*d" % (size, n)] for n in range(number)]


TYPES: dict[str, Callable[[int, int], list[list[bytes]]]] = {
    "string": _string,
    "list": _many(b"RPUSH", lambda n, size: [b"%0*d" % (size, n)]),
    "hash": _many(b"HSET", lambda n, size: [b"%0*d" % (size, n), b"%0*d" % (size, n)]),
    "set": _many(b"SADD", lambda n, size: [b"x%0*d" % (size, n)]),
    "intset": _many(b"SADD", lambda n, size: [b"%d" % n]),
    "zset": _many(b"ZADD", lambda n, size: [b"%d.5" % n, b"%0*d" % (size, n)]),
    "stream": _stream,
    "hll": _many(b"PFADD", lambda n, size: [b"%0*d" % (size, n)]),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(("number", "size"), [(1, 8), (10, 100), (100, 10), (1000, 10)])
def test_what_is_said_is_within_twice_of_the_truth(name: str, number: int, size: int) -> None:
    member = Member().lead()
    keys = max(4, 3000 // number)

    def add(prefix: bytes) -> None:
        for key in range(keys):
            for argv in TYPES[name](number, size):
                # Words of their own, as they come from a client.
                words = [bytes(bytearray(word)) for word in argv]
                words[1] = prefix + b"%06d" % key
                command = member.table.lookup(words)
                member.shard.executor.write(None, command, [words], 0)

    add(b"first:")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    add(b"key:")
    taken = (tracemalloc.get_traced_memory()[0] - before) / keys
    tracemalloc.stop()
    said = member.read("MEMORY", "USAGE", "key:000001", "SAMPLES", 0)
    assert taken / 2 <= said <= taken * 2, f"{said} is said, {taken:.0f} is taken"
