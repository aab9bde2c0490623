"""SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP and BITFIELD: what Redis answers, and what long strings cost."""

from __future__ import annotations

import random
from typing import Any

import pytest

from redraft.commands.bits import SLICE_BYTES
from redraft.commands.strings import MAX_STRING_BYTES
from redraft.resp.reply import Status
from support.shell import AnyShell, Shell

OK = Status(b"OK")
OFFSET = "ERR bit offset is not an integer or out of range"
TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


# SETBIT, GETBIT.


def test_bits_are_counted_from_the_most_significant_one_of_the_first_byte(either: AnyShell) -> None:
    assert either.run("SETBIT k 7 1") == 0
    assert either.run("GET k") == b"\x01"
    assert either.run("SETBIT k 8 1") == 0
    assert either.run("GET k") == b"\x01\x80"
    assert [either("GETBIT", "k", offset) for offset in range(18)] == [0] * 7 + [1, 1] + [0] * 9
    assert either.run("SETBIT k 7 1") == 1
    assert either.run("SETBIT k 7 0") == 1
    assert either.run("SETBIT k 7 0") == 0
    assert either.run("GET k") == b"\x00\x80"


def test_setting_a_bit_beyond_the_end_fills_up_with_zeros_and_so_does_clearing_one(either: AnyShell) -> None:
    assert either.run("SETBIT k 39 0") == 0
    assert either.run("GET k") == bytes(5)
    assert either.run("SETBIT k 41 1") == 0
    assert either.run("GET k") == bytes(5) + b"\x40"
    assert either.run("OBJECT ENCODING k") == b"raw"


def test_a_bit_of_a_string_that_was_set_is_changed_and_its_time_to_live_stays(either: AnyShell) -> None:
    either.run("SET k 12 EX 100")
    assert either.run("SETBIT k 15 1") == 0
    assert either.run("GET k") == b"13"
    assert either.run("TTL k") == 100
    assert either.run("OBJECT ENCODING k") == b"raw"


@pytest.mark.parametrize("offset", ["-1", "4294967296", "x", "1.5", "9223372036854775808"])
def test_an_offset_beyond_512_megabytes_is_refused(either: AnyShell, offset: str) -> None:
    assert either.error("SETBIT", "k", offset, 1) == OFFSET
    assert either.error("GETBIT", "k", offset) == OFFSET
    assert either.run("EXISTS k") == 0
    assert either("GETBIT", "k", 4294967295) == 0


@pytest.mark.parametrize("bit", ["2", "-1", "x", "01"])
def test_only_zero_and_one_are_bits(either: AnyShell, bit: str) -> None:
    assert either.error("SETBIT", "k", 0, bit) == "ERR bit is not an integer or out of range"


def test_what_is_no_string_has_no_bits(either: AnyShell) -> None:
    either.put_collection(b"c")
    for line in (
        "SETBIT c 0 1", "GETBIT c 0", "BITCOUNT c", "BITPOS c 1", "BITOP AND k c", "BITOP NOT k c", "BITFIELD c",
        "BITFIELD c SET u8 0 1", "BITFIELD c GET u8 0", "BITFIELD_RO c GET u8 0",
    ):  # fmt: skip
        assert either.error(*line.split()) == WRONG_TYPE, line
    assert either.run("BITOP AND c k") == 0
    assert either.run("EXISTS c") == 0


def test_a_bit_of_a_long_string_is_changed_in_place(shell: Shell) -> None:
    shell("SETBIT", "k", 8 << 20, 1)
    held = shell.context.db.peek(b"k")
    for offset in range(0, 8 << 20, 1 << 17):
        shell("SETBIT", "k", offset, 1)
        shell("BITFIELD", "k", "INCRBY", "i16", offset + 3, 5)
    assert shell.context.db.peek(b"k") is held


# BITCOUNT and BITPOS, against the definition.


def bits_of(data: bytes) -> list[int]:
    return [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]


def part(data: bytes, start: int, end: int, unit: int) -> list[int]:
    """The bits in a range counted in units of so many bits."""
    total = len(data) * 8 // unit
    first = max(start + total, 0) if start < 0 else start
    last = max(end + total, 0) if end < 0 else end
    return bits_of(data)[first * unit : (last + 1) * unit]


RANGES = [(0, -1), (1, -2), (-3, -1), (2, 2), (3, 1), (0, 100), (100, 200), (-100, -50), (5, -1), (13, 14), (-9, 9)]


@pytest.mark.parametrize("data", [b"foobar", b"\x00\x00\x01", b"\xff\xfe\xff", b"\x80", b"\x0f" * 5, b""])
def test_ones_are_counted_in_ranges_of_bytes_and_of_bits(either: AnyShell, data: bytes) -> None:
    either("SET", "k", data)
    assert either.run("BITCOUNT k") == sum(bits_of(data))
    for start, end in RANGES:
        assert either("BITCOUNT", "k", start, end) == sum(part(data, start, end, 8))
        assert either("BITCOUNT", "k", start, end, "byte") == sum(part(data, start, end, 8))
        assert either("BITCOUNT", "k", start, end, "BIT") == sum(part(data, start, end, 1))


@pytest.mark.parametrize("data", [b"foobar", b"\x00\x00\x01", b"\xff\xfe\xff", b"\x80", b"\x0f" * 5, b""])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_bit_is_found_in_ranges_of_bytes_and_of_bits(either: AnyShell, data: bytes, bit: int) -> None:
    either("SET", "k", data)
    for start, end in RANGES:
        for unit, name in ((8, "BYTE"), (1, "BIT")):
            wanted = part(data, start, end, unit)
            first = max(start + len(data) * 8 // unit, 0) if start < 0 else start
            expected = first * unit + wanted.index(bit) if bit in wanted else -1
            assert either("BITPOS", "k", bit, start, end, name) == expected, (start, end, name)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("BITPOS none 0", 0),
        ("BITPOS none 1", -1),
        ("BITPOS ones 0", 24),
        ("BITPOS ones 0 1", 24),
        ("BITPOS ones 0 0 -1", -1),
        ("BITPOS ones 0 3", -1),
        ("BITPOS ones 1 2", 16),
        ("BITPOS zeros 1", -1),
        ("BITPOS zeros 0 1", 8),
        ("BITCOUNT none", 0),
        ("BITCOUNT none 1", 0),
        ("BITCOUNT ones -1 -2 what", 0),
    ],
)
def test_a_string_goes_on_with_zeros_unless_its_range_has_an_end(either: AnyShell, line: str, reply: int) -> None:
    either("SET", "ones", b"\xff\xff\xff")
    either("SET", "zeros", bytes(3))
    assert either.run(line) == reply


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("BITCOUNT k 1", "ERR syntax error"),
        ("BITCOUNT k 1 2 bits", "ERR syntax error"),
        ("BITCOUNT k 1 2 BIT 3", "ERR syntax error"),
        ("BITCOUNT k x 2", "ERR value is not an integer or out of range"),
        ("BITPOS k 2", "ERR The bit argument must be 1 or 0."),
        ("BITPOS k x", "ERR value is not an integer or out of range"),
        ("BITPOS k 1 2 3 4", "ERR syntax error"),
        ("BITPOS k 1 2 3 BIT 4", "ERR syntax error"),
        ("BITOP NOT k a b", "ERR BITOP NOT must be called with a single source key."),
        ("BITOP NAND k a b", "ERR syntax error"),
        ("BITFIELD k GET", "ERR syntax error"),
        ("BITFIELD k SET u8 0", "ERR syntax error"),
        ("BITFIELD k GET u64 0", TYPE),
        ("BITFIELD k GET i65 0", TYPE),
        ("BITFIELD k GET U8 0", TYPE),
        ("BITFIELD k GET u0 0", TYPE),
        ("BITFIELD k GET u8 -1", OFFSET),
        ("BITFIELD k GET u8 #536870912", OFFSET),
        ("BITFIELD k OVERFLOW x", "ERR Invalid OVERFLOW type specified"),
        ("BITFIELD k INCRBY u8 0 x", "ERR value is not an integer or out of range"),
        ("BITFIELD_RO k SET u8 0 1", "ERR BITFIELD_RO only supports the GET subcommand"),
    ],
)
def test_what_is_refused(either: AnyShell, line: str, text: str) -> None:
    either.run("SET k abc")
    assert either.error(*line.split()) == text
    assert either.run("GET k") == b"abc"


@pytest.mark.parametrize("size", [SLICE_BYTES - 1, SLICE_BYTES, 3 * SLICE_BYTES + 5])
def test_a_string_of_several_slices_is_counted_and_searched_as_a_whole(shell: Shell, size: int) -> None:
    rng = random.Random(size)
    data = bytearray(rng.randbytes(size))
    shell("SET", "k", bytes(data))
    assert shell("BITCOUNT", "k") == sum(bits_of(data))
    assert shell("BITCOUNT", "k", 3, -5, "BIT") == sum(bits_of(data)[3:-4])
    for bit, filler in ((0, b"\xff"), (1, b"\x00")):
        for position in (0, SLICE_BYTES - 2, size - 1):
            one = bytearray(filler * size)
            one[position] ^= 0x10
            shell("SET", "k", bytes(one))
            assert shell("BITPOS", "k", bit) == position * 8 + 3
            assert shell("BITPOS", "k", bit, position * 8 + 4, -1, "BIT") == -1
            assert shell("BITPOS", "k", bit, 0, position * 8 + 2, "BIT") == -1


# BITOP.


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("AND", b"\x01\x00\x00"), ("OR", b"\xff\x0f\x07"), ("XOR", b"\xfe\x0f\x07")],
)
def test_shorter_strings_are_filled_up_with_zeros(either: AnyShell, operation: str, expected: bytes) -> None:
    either("SET", "a", b"\xff\x0f")
    either("SET", "b", b"\x01\x00\x07")
    either.run("SET to old EX 100")
    assert either("BITOP", operation, "to", "a", "b") == 3
    assert either("GET", "to") == expected
    assert either("TTL", "to") == -1
    assert either("BITOP", operation, "a", "a", "b") == 3
    assert either("GET", "a") == expected


def test_keys_that_are_not_there_count_as_zeros(either: AnyShell) -> None:
    either("SET", "a", b"\xff\x0f")
    assert either.run("BITOP AND to a none") == 2
    assert either.run("GET to") == bytes(2)
    assert either.run("BITOP NOT to a") == 2
    assert either.run("GET to") == b"\x00\xf0"
    assert either.run("BITOP OR to none nothing") == 0
    assert either.run("EXISTS to") == 0


def test_strings_of_several_slices_are_combined_as_wholes(shell: Shell) -> None:
    rng = random.Random(7)
    first, second = rng.randbytes(2 * SLICE_BYTES + 3), rng.randbytes(SLICE_BYTES + 1)
    shell("SET", "a", first)
    shell("SET", "b", second)
    assert shell("BITOP", "XOR", "to", "a", "b") == len(first)
    padded = second.ljust(len(first), b"\0")
    assert shell("GET", "to") == bytes(x ^ y for x, y in zip(first, padded, strict=True))
    shell("BITOP", "NOT", "to", "a")
    assert shell("GET", "to") == bytes(255 - x for x in first)


# BITFIELD.


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("BITFIELD k", [], None),
        ("BITFIELD k GET u8 100 GET i64 0", [0, 0], None),
        ("BITFIELD k SET u8 0 255 GET i8 0 GET u4 4 GET u8 4", [0, -1, 15, 240], b"\xff"),
        ("BITFIELD k SET i5 3 -1 GET u8 0", [0, 31], b"\x1f"),
        ("BITFIELD k SET u8 #2 7", [0], b"\x00\x00\x07"),
        ("BITFIELD k SET i64 1 -2 GET i64 1", [0, -2], b"\x7f\xff\xff\xff\xff\xff\xff\xff\x00"),
        ("BITFIELD k SET u8 0 -1", [0], b"\xff"),
        ("BITFIELD k OVERFLOW SAT SET u4 0 -1 SET i4 4 -9", [0, 0], b"\xf8"),
        ("BITFIELD k INCRBY u8 0 255 INCRBY u8 0 2", [255, 1], b"\x01"),
        ("BITFIELD k OVERFLOW SAT INCRBY u8 0 300 INCRBY u8 0 -256", [255, 0], b"\x00"),
        ("BITFIELD k OVERFLOW FAIL INCRBY u8 0 300", [None], b"\x00"),
        ("BITFIELD k OVERFLOW FAIL SET i8 0 128 OVERFLOW WRAP SET i8 0 128 GET i8 0", [None, 0, -128], b"\x80"),
        ("BITFIELD k INCRBY i8 0 127 INCRBY i8 0 1", [127, -128], b"\x80"),
        ("BITFIELD k OVERFLOW SAT INCRBY i8 0 -129", [-128], b"\x80"),
        ("BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1", [0, -(1 << 63)], b"\x80" + bytes(7)),
        ("BITFIELD k SET u63 0 9223372036854775807 INCRBY u63 0 1", [0, 0], bytes(8)),
    ],
)
def test_fields(either: AnyShell, line: str, reply: list[Any], left: bytes | None) -> None:
    assert either.run(line) == reply
    assert either.run("GET k") == left


def test_fields_of_strings_that_end_within_them(either: AnyShell) -> None:
    either("SET", "k", b"\xff")
    assert either.run("BITFIELD_RO k GET u16 0 GET u16 4 GET i3 6 GET u8 8") == [0xFF00, 0xF000, -2, 0]
    assert either.run("BITFIELD_RO none GET i8 0") == [0]


def test_a_field_may_begin_at_the_last_bit_that_a_string_can_have(shell: Shell) -> None:
    last = MAX_STRING_BYTES * 8 - 1
    assert shell("BITFIELD_RO", "none", "GET", "u63", last) == [0]
    assert shell.error("BITFIELD_RO", "none", "GET", "u63", last + 1) == OFFSET
