"""What payloads are made of: checksums, packed strings, listpacks and their elder kin."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.rdb import intset, listpack, lzf, stream_node, ziplist, zipmap
from redraft.rdb.contents import StreamNode
from redraft.rdb.crc64 import crc64
from redraft.rdb.errors import PayloadError
from redraft.rdb.reader import Reader
from redraft.rdb.writer import length, string
from redraft.values.stream_node import Node, _string_bytes
from support import payloads
from support.payloads import integers, strings

JONES = 0x95AC9329AC4BC9B5
"""The polynomial, reflected."""


def bitwise_crc64(data: bytes) -> int:
    """The checksum by its definition."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (JONES if crc & 1 else 0)
    return crc


# Checksums.


def test_the_checksum_is_that_of_redis() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"") == 0


@given(st.binary(max_size=300))
def test_the_checksum_is_the_remainder_by_the_polynomial(data: bytes) -> None:
    assert crc64(data) == bitwise_crc64(data)


def test_the_checksum_of_megabytes_takes_milliseconds() -> None:
    started = time.perf_counter()
    crc64(bytes(20_000_000))
    assert time.perf_counter() - started < 1


# Lengths and strings.


@pytest.mark.parametrize("edge", [0, 1 << 6, 1 << 14, 1 << 32, (1 << 64) - 2])
def test_a_length_reads_back(edge: int) -> None:
    for number in (edge, edge + 1, max(0, edge - 1)):
        assert Reader(length(number)).length() == number


@given(strings)
def test_a_string_reads_back(data: bytes) -> None:
    reader = Reader(string(data) + b"\x01a")
    assert reader.string() == data
    assert reader.string() == b"a"


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"0", b"\xc0\x00"),
        (b"-128", b"\xc0\x80"),
        (b"128", b"\xc1\x80\x00"),
        (b"-32769", b"\xc2\xff\x7f\xff\xff"),
        (b"2147483647", b"\xc2\xff\xff\xff\x7f"),
        (b"2147483648", b"\x0a2147483648"),
        (b"-2147483648", b"\xc2\x00\x00\x00\x80"),
        (b"007", b"\x03007"),
        (b"-0", b"\x02-0"),
        (b"", b"\x00"),
        (b"a" * 64, b"\x40\x40" + b"a" * 64),
    ],
)
def test_a_string_is_written_as_redis_writes_it(data: bytes, written: bytes) -> None:
    assert string(data) == written


# LZF.


@given(st.binary(min_size=1, max_size=50).flatmap(lambda data: st.just(data * 40) | st.just(data)))
@settings(deadline=None)
def test_what_was_packed_unpacks(data: bytes) -> None:
    assert lzf.decompress(payloads.lzf(data), len(data)) == data


def test_what_repeats_itself_unpacks() -> None:
    assert lzf.decompress(b"\x00a\xe0\xff\x00", 265) == b"a" * 265
    assert lzf.decompress(b"\x01ab\x20\x01\x20\x00", 8) == b"ababaaaa"


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"", 0),
        (b"", 1),
        (b"\x00a", 0),
        (b"\x00a", 2),
        (b"\x01ab", 1),
        (b"\x05ab", 2),
        (b"\x00a\x20", 4),
        (b"\x00a\xe0\xff", 265),
        (b"\x00a\x20\x01", 4),  # repeats what is before the beginning
        (b"\x20\x00", 3),
        (b"\x00a\xe0\xff\x00", 10),
        (b"\x00a", 1 << 60),
    ],
)
def test_what_was_never_packed_is_refused(packed: bytes, size: int) -> None:
    with pytest.raises(PayloadError):
        lzf.decompress(packed, size)


@given(st.binary(max_size=40), st.integers(0, 3000))
def test_noise_unpacks_to_the_size_told_or_not_at_all(packed: bytes, size: int) -> None:
    with contextlib.suppress(PayloadError):
        assert len(lzf.decompress(packed, size)) == size


# Rows of strings.


@given(st.lists(strings, max_size=30))
def test_a_listpack_reads_back(elements: list[bytes]) -> None:
    assert listpack.read(listpack.write(elements)) == elements


@pytest.mark.parametrize(
    "size", [0, 1, 63, 64, 124, 125, 126, 4095, 4096, 16_375, 16_383, 16_390, 2_097_140, 2_097_160]
)
def test_a_listpack_of_two_strings_of_any_size_reads_back(size: int) -> None:
    for around in range(max(0, size - 3), size + 4):
        elements = [b"x" * around, b"y"]
        assert listpack.read(listpack.write(elements)) == elements


def test_a_listpack_of_more_elements_than_it_can_count_reads_back() -> None:
    for count in (65534, 65535, 65536, 70000):
        packed = listpack.write([b"a"] * count)
        assert packed[4:6] == min(count, 65535).to_bytes(2, "little")
        assert len(listpack.read(packed)) == count


@given(integers)
def test_an_integer_of_a_listpack_is_as_narrow_as_can_be_and_reads_back(number: int) -> None:
    packed = listpack.integer(number)
    assert listpack.read(listpack.join([packed])) == [b"%d" % number]
    assert listpack.element(b"%d" % number) == packed


def test_a_listpack_is_what_redis_makes() -> None:
    elements = [b"", b"a", b"12", b"-1", b"4095", b"70000", b"x" * 64]
    packed = "80018161020c01dfff02cfff02f270110104e040" + "78" * 64 + "42ff"
    assert listpack.write(elements).hex() == (6 + len(packed) // 2).to_bytes(4, "little").hex() + "0700" + packed


@given(strings)
def test_a_stream_counts_the_bytes_that_a_listpack_takes(data: bytes) -> None:
    assert _string_bytes(data) == len(listpack.element(data))


@given(st.lists(strings, max_size=30))
def test_a_ziplist_is_read(elements: list[bytes]) -> None:
    assert ziplist.read(payloads.ziplist(elements)) == elements


@given(st.lists(st.tuples(strings, strings), max_size=30), st.integers(0, 4))
def test_a_zipmap_is_read(pairs: list[tuple[bytes, bytes]], free: int) -> None:
    flat = [part for pair in pairs for part in pair]
    assert zipmap.read(payloads.zipmap(flat, free)) == flat


@given(st.lists(integers, min_size=1, unique=True))
def test_an_intset_reads_back_in_order(numbers: list[int]) -> None:
    assert intset.read(intset.write(numbers)) == sorted(numbers)


@pytest.mark.parametrize(
    ("numbers", "width"), [([0], 2), ([-32768, 32767], 2), ([32768], 4), ([-32769], 4), ([1 << 31], 8), ([-1 << 63], 8)]
)
def test_an_intset_is_as_narrow_as_can_be(numbers: list[int], width: int) -> None:
    assert intset.write(numbers)[0] == width


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x07\x00\x00\x00\x00\x00",
        b"\x07\x00\x00\x00\x00\x00\x00",
        b"\x08\x00\x00\x00\x00\x00\xff",
        b"\x07\x00\x00\x00\x01\x00\xff",
        b"\x08\x00\x00\x00\x01\x00\x01\xff",
        b"\x09\x00\x00\x00\x01\x00\x01\x02\xff",  # cannot be walked backwards
        b"\x09\x00\x00\x00\x01\x00\xf5\x01\xff",  # no such type
        b"\x09\x00\x00\x00\x02\x00\x01\x01\xff",
        b"\x0a\x00\x00\x00\x01\x00\x82a\x02\xff",
        b"\x0a\x00\x00\x00\x01\x00\xff\x01\x01\xff",
    ],
)
def test_a_damaged_listpack_is_refused(packed: bytes) -> None:
    with pytest.raises(PayloadError):
        listpack.read(packed)


# Nodes of streams.


def test_a_node_with_ids_that_wrap_round_reads_back() -> None:
    top = (1 << 128) - 1
    node = StreamNode(0, top, 0, (b"f",), [(0, (b"f", b"v")), (1 << 127, (b"g", b"v")), (top, (b"f", b"v"))])
    assert stream_node.read(0, stream_node.write(node)) == node


@pytest.mark.parametrize("deleted", [1, 2, 5])
def test_places_of_deleted_entries_are_kept(deleted: int) -> None:
    node = StreamNode(5, 9, deleted, (b"f",), [(5, (b"f", b"v")), (7, (b"f", b"w"))])
    assert stream_node.read(5, stream_node.write(node)) == node


@given(st.lists(st.lists(strings, min_size=2, max_size=2).map(tuple), min_size=1, max_size=20))
def test_a_node_takes_the_bytes_that_a_stream_counts(rows: list[tuple[bytes, ...]]) -> None:
    node = Node(object(), 1, rows[0])
    for number, fields in enumerate(rows[1:], 2):
        node.add(number, fields)
    content = StreamNode(1, node.last, 0, node.names, list(zip(node.ids, node.entries, strict=True)))
    assert len(stream_node.write(content)) == node.size_bytes
