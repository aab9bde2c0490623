"""ZSCAN's form of scores, which goes by how Redis holds the sorted set."""

from __future__ import annotations

import pytest

from support.shell import AnyShell

SMALL, LARGE = b"m", b"m" * 65


@pytest.mark.parametrize(
    ("score", "small", "large"),
    [
        ("1e17", b"100000000000000000", b"1e+17"),
        ("-1.5e18", b"-1500000000000000000", b"-1.5e+18"),
        ("1e19", b"1e+19", b"1e+19"),
        ("0.1", b"0.10000000000000001", b"0.10000000000000001"),
        ("-inf", b"-inf", b"-inf"),
    ],
)
def test_whole_numbers_in_a_small_set(either: AnyShell, score: str, small: bytes, large: bytes) -> None:
    for member, shown in ((SMALL, small), (LARGE, large)):
        either("DEL", "z")
        either("ZADD", "z", score, member)
        assert either("ZSCAN", "z", "0") == [b"0", [member, shown]]
