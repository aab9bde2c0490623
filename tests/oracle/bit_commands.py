"""Random commands on bits: offsets at the edges of bytes and of what is allowed, ranges in bytes and bits, fields of
all widths at all places, strings of zeros and ones alone."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import INTEGERS, Command, cased, extended, sequences, words

KEYS = [b"b1", b"b2", b"b\xff\x00", b"none", b"list"]
OFFSETS = [b"0", b"1", b"7", b"8", b"9", b"63", b"100", b"-1", b"4294967296", b"4294967295x", b"x", b"", b"1.5",
           b"9223372036854775807"]  # fmt: skip
EDGES = [b"0", b"1", b"2", b"5", b"7", b"8", b"15", b"16", b"23", b"100", b"-1", b"-2", b"-8", b"-9", b"-100",
         b"9223372036854775807", b"-9223372036854775807", b"x"]  # fmt: skip
STRINGS = [b"", b"\x00", b"\xff", b"\x00\x00\x00", b"\xff\xff\xff", b"\xff\xf0\x00", b"\x00\x0f\xff", b"foobar", b"12",
           b"\x00" * 70, b"\xff" * 70, b"\x00" * 40 + b"\x01"]  # fmt: skip
WIDTHS = [b"i1", b"u1", b"i5", b"u4", b"u7", b"i8", b"u8", b"i13", b"u31", b"i32", b"i63", b"u63", b"i64", b"u64",
          b"i65", b"i0", b"x8", b"I8", b"u", b"u08", b"i8\x00x"]  # fmt: skip
PLACES = [b"0", b"1", b"3", b"7", b"8", b"13", b"100", b"#0", b"#1", b"#5", b"-1", b"#-1", b"#", b"##1",
          b"4294967296", b"x"]  # fmt: skip
NUMBERS = [*INTEGERS, b"127", b"128", b"-128", b"-129", b"255", b"256", b"4294967295", b"-4294967296", b"100"]

key = st.sampled_from(KEYS)
offset = st.sampled_from(OFFSETS) | st.integers(0, 200).map(lambda number: b"%d" % number)
bit = st.sampled_from([b"0", b"1", b"1", b"0", b"2", b"-1", b"x"])
edge = st.sampled_from(EDGES)
content = st.sampled_from(STRINGS) | st.binary(max_size=12)
unit = cased("BIT") | cased("BYTE") | st.sampled_from([b"bits", b""])
width = st.sampled_from(WIDTHS) | st.builds(lambda sign, bits: sign + b"%d" % bits, st.sampled_from([b"i", b"u"]),
                                            st.integers(1, 63))  # fmt: skip
place = st.sampled_from(PLACES) | st.integers(0, 100).map(lambda number: b"%d" % number)
number = st.sampled_from(NUMBERS)
overflow = words("OVERFLOW", cased("WRAP") | cased("SAT") | cased("FAIL"))

good_width = st.builds(lambda sign, bits: sign + b"%d" % bits, st.sampled_from([b"i", b"u"]), st.integers(1, 63))
good_place = st.integers(0, 40).map(lambda number: b"%d" % number) | st.integers(0, 9).map(lambda each: b"#%d" % each)
good_number = st.integers(-(1 << 63), (1 << 63) - 1).map(lambda number: b"%d" % number) | st.sampled_from(
    [b"1", b"-1", b"10", b"-100", b"100", b"0"]
)
fine = st.one_of(
    overflow, words("GET", good_width, good_place), words("SET", good_width, good_place, good_number),
    words("INCRBY", good_width, good_place, good_number), words("INCRBY", st.just(b"i64"), good_place, good_number),
    words("SET", st.just(b"i64"), good_place, good_number),
)  # fmt: skip
rough = st.one_of(
    fine, words("GET", width, place), words("SET", width, place, number), words("INCRBY", width, place, number),
    words("OVERFLOW", st.just(b"x")), words("OVERFLOW"), words("GET", width), words("SET", width, place),
    words("NOTHING"),
)  # fmt: skip
source = st.tuples(key)

command: st.SearchStrategy[Command] = st.one_of(
    words("SET", key, content), words("SET", key, content), words("SET", key, content), words("DEL", key),
    words("RPUSH", st.just(b"list"), content), words("SET", key, content, "EX", st.just(b"100")),
    words("SETBIT", key, offset, bit), words("SETBIT", key, offset, bit), words("SETBIT", key, offset),
    words("GETBIT", key, offset), words("GETBIT", key, offset), words("GETBIT", key),
    words("BITCOUNT", key), words("BITCOUNT", key, edge), words("BITCOUNT", key, edge, edge),
    words("BITCOUNT", key, edge, edge, unit), words("BITCOUNT", key, edge, edge, cased("BIT")),
    words("BITCOUNT", key, edge, edge, unit, edge), words("BITCOUNT"),
    words("BITPOS", key), words("BITPOS", key, bit), words("BITPOS", key, bit, edge),
    words("BITPOS", key, bit, edge, edge), words("BITPOS", key, bit, edge, edge, unit),
    words("BITPOS", key, bit, edge, edge, cased("BIT")), words("BITPOS", key, bit, edge, edge, unit, edge),
    extended(words("BITOP", cased("AND"), key), source), extended(words("BITOP", cased("OR"), key), source),
    extended(words("BITOP", cased("XOR"), key), source), words("BITOP", cased("NOT"), key, key),
    extended(words("BITOP", st.sampled_from([b"NOT", b"nand"]), key), source),
    extended(words("BITFIELD", key), fine), extended(words("BITFIELD", key), fine, 8),
    extended(words("BITFIELD", key), rough), extended(words("BITFIELD_RO", key), rough),
    extended(words("BITFIELD_RO", key), words("GET", width, place)),
    words("APPEND", key, content), words("INCR", key),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
