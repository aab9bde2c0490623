"""A record in the image reads back as the value and the deadline that it was made of, or is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

import redraft.commands.all  # noqa: F401 - registers every collection type
from redraft.errors import DamagedDataError
from redraft.values import codec
from redraft.values.value import AnyValue

DEADLINES_MS = [None, 0, 1, 1_700_000_000_000, 2**63 - 1]
STRINGS = [b"", b"a", b"\x00", b"\x80\xff", b"\r\n", b"12", b"x" * 70_000]


class FrozenWords:
    def __init__(self, words: tuple[bytes, ...]) -> None:
        self._words = words

    def pieces(self) -> Iterator[bytes]:
        for word in self._words:
            yield bytes((len(word),)) + word


class Words:
    """A collection of short words."""

    type_name = b"words"
    tag = 0x1F

    def __init__(self, *words: bytes) -> None:
        self.words = list(words)

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and other.words == self.words

    __hash__ = None  # type: ignore[assignment]

    def freeze(self) -> FrozenWords:
        return FrozenWords(tuple(self.words))

    def copy(self) -> Words:
        return Words(*self.words)

    @classmethod
    def decode(cls, payload: bytes) -> Words:
        words, rest = [], payload
        while rest:
            length, rest = rest[0], rest[1:]
            if len(rest) < length:
                raise DamagedDataError("a word is cut short")
            words.append(rest[:length])
            rest = rest[length:]
        return cls(*words)

    def memory_bytes(self) -> int:
        return sum(map(len, self.words))

    def check(self) -> None:
        """Nothing can be wrong."""


@pytest.fixture(autouse=True)
def _words_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec.COLLECTIONS, Words.tag, Words)


VALUES: list[Any] = [*STRINGS, *map(bytearray, STRINGS), Words(), Words(b"one"), Words(b"", b"two", b"\x00" * 255)]


@pytest.mark.parametrize("deadline_ms", DEADLINES_MS)
def test_a_value_and_its_deadline_read_back_with_their_types(deadline_ms: int | None) -> None:
    for value in VALUES:
        read, deadline = codec.decode(codec.encode(value, deadline_ms))
        assert type(read) is type(value)
        assert read == value
        assert deadline == deadline_ms


@pytest.mark.parametrize("deadline_ms", DEADLINES_MS)
def test_a_record_made_in_pieces_is_the_record_made_at_once(deadline_ms: int | None) -> None:
    for value in VALUES:
        pieces = b"".join(codec.frozen_pieces(codec.freeze(value), deadline_ms))
        assert pieces == codec.encode(value, deadline_ms)


def test_the_bytes_of_a_record_stay_as_they_are() -> None:
    """They are on people's disks: a change of any of these is a new format."""
    at = 0x0102030405060708
    expected: list[tuple[AnyValue, int | None, bytes]] = [
        (b"abc", None, b"\x00abc"),
        (b"abc", at, b"\x80\x01\x02\x03\x04\x05\x06\x07\x08abc"),
        (bytearray(b"abc"), None, b"\x01abc"),
        (bytearray(b"abc"), at, b"\x81\x01\x02\x03\x04\x05\x06\x07\x08abc"),
        (Words(b"one"), None, b"\x1f\x03one"),
        (Words(b"one"), at, b"\x9f\x01\x02\x03\x04\x05\x06\x07\x08\x03one"),
    ]
    for value, deadline_ms, record in expected:
        assert codec.encode(value, deadline_ms) == record
    tags = (codec.TAG_LIST, codec.TAG_HASH, codec.TAG_SET, codec.TAG_ZSET, codec.TAG_STREAM)
    assert tags == (2, 3, 4, 5, 6)


@pytest.mark.parametrize("value", [bytearray(b"old"), Words(b"old")], ids=["raw", "collection"])
def test_a_frozen_value_does_not_follow_the_original(value: Any) -> None:
    frozen = codec.freeze(value)
    before = codec.encode(value, None)
    if isinstance(value, bytearray):
        value += b" and new"
    else:
        value.words.append(b"new")
    assert b"".join(codec.frozen_pieces(frozen, None)) == before != codec.encode(value, None)


def test_a_type_is_named_as_the_type_command_names_it() -> None:
    assert codec.type_name(b"") == codec.type_name(bytearray()) == b"string"
    assert codec.type_name(Words()) == b"words"


def test_every_registered_type_has_its_tag_and_a_name() -> None:
    for tag, cls in codec.COLLECTIONS.items():
        assert cls.tag == tag
        assert codec.TAG_STRING_RAW < tag < codec.HAS_GROWN
        assert cls.type_name


def test_a_tag_is_given_once() -> None:
    with pytest.raises(ValueError, match="taken"):
        codec.register(Words)


@pytest.mark.parametrize("tag", [codec.TAG_STRING, codec.TAG_STRING_RAW])
def test_the_tags_of_strings_are_not_for_collections(tag: int) -> None:
    with pytest.raises(ValueError, match="taken"):
        codec.register(type("Usurper", (Words,), {"tag": tag}))


@pytest.mark.parametrize("record", [b"\x7dpayload", b"\xfd" + bytes(8) + b"payload"])
def test_an_unknown_type_is_refused_by_name(record: bytes) -> None:
    with pytest.raises(DamagedDataError, match="unknown type 125"):
        codec.decode(record)


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(DamagedDataError, match="empty"):
        codec.decode(b"")


@pytest.mark.parametrize("value", [b"", bytearray(), Words()], ids=["string", "raw", "collection"])
def test_a_record_that_ends_inside_its_deadline_is_refused(value: Any) -> None:
    record = codec.encode(value, 1)
    for length in range(1, 9):
        with pytest.raises(DamagedDataError, match="inside its deadline"):
            codec.decode(record[:length])


def test_damage_that_a_type_finds_is_let_through() -> None:
    with pytest.raises(DamagedDataError, match="cut short"):
        codec.decode(codec.encode(Words(b"one"), 5)[:-1])


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_are_a_value_or_damage_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    refused = 0
    for _ in range(5000):
        record = rng.choice([b"", bytes((rng.choice([*codec.COLLECTIONS, 0, 1]) | rng.choice([0, 0x80]),))])
        record += rng.randbytes(rng.randint(0, 30))
        try:
            codec.decode(record)
        except DamagedDataError:
            refused += 1
    assert refused > 100
