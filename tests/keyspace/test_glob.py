"""Glob patterns match as Redis's stringmatchlen does, and a pattern's prefix never hides a match."""

from __future__ import annotations

import random

import pytest

from redraft.keyspace import glob

# pattern, what it matches whole, what it does not
CASES = [
    (b"", [b""], [b"a"]),
    (b"*", [b"", b"a", b"\xff\x00\n"], []),
    (b"a*", [b"a", b"abc", b"a\n\n"], [b"", b"ba"]),
    (b"*a", [b"a", b"aaa", b"\na"], [b"", b"ab"]),
    (b"a**c", [b"ac", b"abbc"], [b"ab"]),
    (b"?", [b"a", b"\n", b"\xff"], [b"", b"ab"]),
    (b"h?llo", [b"hello", b"h\x00llo"], [b"hllo", b"heello"]),
    (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"hllo"]),
    (b"h[^e]llo", [b"hallo", b"h^llo"], [b"hello", b"hllo"]),
    (b"h[a-b]llo", [b"hallo", b"hbllo"], [b"hcllo", b"h-llo"]),
    (b"h[b-a]llo", [b"hallo", b"hbllo"], [b"hcllo"]),
    (b"[a-]", [b"]", b"_", b"a"], [b"-", b"b"]),
    (b"[-a]", [b"a", b"-"], [b"b"]),
    (b"[\\]]", [b"]"], [b"\\", b"[\\]]"]),
    (b"[^]", [b"\x00", b"]", b"^"], [b"", b"ab"]),
    (b"a[]b", [], [b"ab", b"a[]b", b"a]b"]),
    (b"[ab", [b"a", b"b"], [b"[ab", b"ab"]),
    (b"\\*", [b"*"], [b"a", b"\\*"]),
    (b"a\\", [b"a\\"], [b"a"]),
    (b"a.c", [b"a.c"], [b"abc"]),
    (b"(a|b)+$", [b"(a|b)+$"], [b"a", b"aa"]),
    (b"\xc3?", [b"\xc3\xa9"], [b"\xc3"]),
]


@pytest.mark.parametrize(("pattern", "matching", "other"), CASES)
def test_a_pattern_matches_what_redis_matches(pattern: bytes, matching: list[bytes], other: list[bytes]) -> None:
    matches = glob.matcher(pattern)
    assert [text for text in matching if not matches(text)] == []
    assert [text for text in other if matches(text)] == []


def test_many_stars_take_no_more_time_than_their_number_times_the_text() -> None:
    matches = glob.matcher(b"a*" * 40 + b"b")
    assert not matches(b"a" * 400)
    assert matches(b"a" * 400 + b"b")


LONG = glob.KEPT_BYTES + 1


@pytest.mark.parametrize("seed", range(8))
def test_a_long_pattern_matches_as_a_short_one(seed: int) -> None:
    rng = random.Random(seed)
    matched = 0
    for _ in range(300):
        pattern = bytes(rng.choices(b"aab**?[]^-\\", k=rng.randint(0, 8)))
        short, long = glob.matcher(pattern), glob._Pieces(pattern)
        for _ in range(30):
            text = bytes(rng.choices(b"aab-]*\\", k=rng.randint(0, 6)))
            assert bool(short(text)) == bool(long(text)), (pattern, text)
            matched += bool(short(text))
    assert matched > 300


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (b"a*" * LONG + b"b", b"a" * LONG + b"xb", b"a" * LONG),
        (b"*?" * LONG, b"x" * LONG, b"x" * (LONG - 1)),
        (b"[ab]" * LONG, b"ab" * (LONG // 2) + b"b", b"ab" * (LONG // 2) + b"c"),
        (b"x" * LONG, b"x" * LONG, b"x" * (LONG + 1)),
        (b"*" * LONG + b"b", b"aab", b"aba"),
        (b"\\a" * LONG + b"*", b"a" * LONG + b"bc", b"a" * (LONG - 1) + b"b"),
    ],
)
def test_long_patterns_match_what_they_say(pattern: bytes, matching: bytes, other: bytes) -> None:
    matches = glob.matcher(pattern)
    assert matches(matching)
    assert not matches(other)


def test_a_long_pattern_is_not_kept() -> None:
    before = glob._kept_matcher.cache_info().currsize
    glob.matcher(b"y*" * LONG)
    assert glob.prefix(b"y" * LONG + b"*") == b"y" * LONG
    assert glob._kept_matcher.cache_info().currsize == before


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        (b"", b""),
        (b"user:17", b"user:17"),
        (b"user:*", b"user:"),
        (b"user:?7", b"user:"),
        (b"user:[17]", b"user:"),
        (b"*", b""),
        (b"a\\*b*", b"a*b"),
        (b"a\\", b"a\\"),
    ],
)
def test_the_prefix_is_what_stands_before_the_first_wildcard(pattern: bytes, prefix: bytes) -> None:
    assert glob.prefix(pattern) == prefix


@pytest.mark.parametrize("seed", range(4))
def test_everything_that_a_pattern_matches_begins_with_its_prefix(seed: int) -> None:
    rng = random.Random(seed)
    matched = 0
    for _ in range(400):
        pattern = bytes(rng.choices(b"aab*?[]^-\\", k=rng.randint(0, 6)))
        matches, prefix = glob.matcher(pattern), glob.prefix(pattern)
        for _ in range(30):
            text = bytes(rng.choices(b"aab-]*\\", k=rng.randint(0, 4)))
            if matches(text):
                matched += 1
                assert text.startswith(prefix), (pattern, text)
    assert matched > 500


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_make_a_pattern_that_cannot_be_compiled(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        pattern = bytes(rng.choices(range(256), k=rng.randint(0, 12)))
        glob.matcher(pattern)(pattern)


@pytest.mark.parametrize("seed", range(4))
def test_stars_match_as_the_plain_recursion_does(seed: int) -> None:
    def plain(pattern: bytes, text: bytes) -> bool:
        if not pattern:
            return not text
        if pattern[:1] == b"*":
            return plain(pattern[1:], text) or (bool(text) and plain(pattern, text[1:]))
        return text[:1] != b"" and pattern[:1] in (b"?", text[:1]) and plain(pattern[1:], text[1:])

    rng = random.Random(seed)
    for _ in range(3000):
        pattern = bytes(rng.choices(b"ab?**", k=rng.randint(0, 7)))
        text = bytes(rng.choices(b"ab", k=rng.randint(0, 7)))
        assert bool(glob.matcher(pattern)(text)) == plain(pattern, text), (pattern, text)
