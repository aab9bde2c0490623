"""SORT's corners; tests/oracle has random ones."""

from __future__ import annotations

import pytest

from support.shell import AnyShell, words


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("SORT l BY nosort", [b"2", b"3", b"1"]),
        ("SORT l BY nosort DESC", [b"1", b"3", b"2"]),
        ("SORT l BY nosort DESC LIMIT 0 1", [b"1"]),
        ("SORT l DESC LIMIT 1 1", [b"2"]),
        ("SORT z BY nosort DESC LIMIT 0 2", [b"c", b"b"]),
    ],
)
def test_order_and_limit(either: AnyShell, line: str, found: list[bytes]) -> None:
    either(*words("RPUSH l 2 3 1"))
    either(*words("ZADD z 1 a 2 b 3 c"))
    assert either(*words(line)) == found
