"""Payloads: what Redis wrote is read, what is written reads back, and what is damaged is refused and does no harm."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redraft.rdb import listpack, payload, types, writer
from redraft.rdb.contents import (
    Content,
    HashContent,
    ListContent,
    SetContent,
    SortedSetContent,
    StreamContent,
    StreamGroup,
    StreamNode,
    StreamPending,
    StringContent,
)
from redraft.rdb.decode import decode
from redraft.rdb.encode import NODE_BYTES, encode
from redraft.rdb.errors import PayloadError, SealError
from support.payloads import contents, damaged_bodies, elder_bodies, packed_string, small_contents, ziplist, zipmap

examples = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FROM_REDIS: list[tuple[str, Content]] = [
    ("00c00c0a003c2af8515c04bcd5", StringContent(b"12")),
    ("00c290eefeff0a002875de7b13eb2800", StringContent(b"-70000")),
    ("120102c31540550d5500000003008161020c01e04678e03c000148ff0a00bdd15cca10e51a0b",
     ListContent([b"a", b"12", b"x" * 70])),
    ("0b140400000003000000ffffffff03000000701101000a00faf9076ba102fb14", SetContent([b"-1", b"3", b"70000"])),
    ("0202016201610a0075d99d835ef85f65", SetContent([b"b", b"a"])),
    ("1013130000000400816602817602816e02dffb02ff0a00d2924cc27918e20f", HashContent([b"f", b"n"], [b"v", b"-5"])),
    ("111d1d0000000600816102842d696e660581620283312e35048163020301ff0a007a38cac0f5d934d0",
     SortedSetContent([(-math.inf, b"a"), (1.5, b"b"), (3.0, b"c")])),
    ("0503016300000000000008400162000000000000f83fc3094046016161e03900016161000000000000f0ff0a003c0f6ac0b07e9580",
     SortedSetContent([(-math.inf, b"a" * 70), (1.5, b"b"), (3.0, b"c")])),
    ("00c3092e016161e021000161620a00a447c1467f400ebd", StringContent(b"a" * 45 + b"b")),
    ("0402046c6f6e67c3094041017676e034000176760166c0010a00ad1e2b8b105030ef",
     HashContent([b"long", b"f"], [b"v" * 65, b"1"])),
    ("13011000000000000000010000000000000001405959000000220003010201010181610200010201000100018162020401030100010101816"
     "302040100010101dfff020201856f74686572060301816602dff9020801020102010801816402040103010301dfff02817a020401ff030400"
     "0101040005020167030981ffffffffffffffff0300000000000000010000000000000001c622ac0ca20100000100000000000000020000000"
     "000000000c622ac0ca20100000100000000000000030000000000000009c722ac0ca20100000102026331c622ac0ca2010000020000000000"
     "000001000000000000000100000000000000020000000000000000026332c722ac0ca201000001000000000000000300000000000000090168"
     "020081ffffffffffffffff00010469646c65c722ac0ca2010000000a00b3d2d72d08e2dd5a",
     StreamContent(
         [StreamNode(1 << 64 | 1, 4 << 64, 2, (b"a",), [
             (1 << 64 | 1, (b"a", b"b")), (2 << 64, (b"other", b"3", b"f", b"-7")), (3 << 64 | 9, (b"a", b"d")),
         ])],
         4 << 64, 4 << 64, 5,
         [
             StreamGroup(b"g", 3 << 64 | 9, None, {b"c1": 1795508937414, b"c2": 1795508937415}, [
                 StreamPending(1 << 64 | 1, b"c1", 1795508937414, 1),
                 StreamPending(2 << 64, b"c1", 1795508937414, 1),
                 StreamPending(3 << 64 | 9, b"c2", 1795508937415, 1),
             ]),
             StreamGroup(b"h", 2 << 64, None, {b"idle": 1795508937415}, []),
         ],
     )),
]  # fmt: skip
"""What DUMP of a redis-server 7.0 answered, and what the key was."""

LONG_COUNT = writer.length((1 << 64) - 2)


def signature(content: Content) -> Content:
    """Contents as they read back: without the wish for an encoding, an intset's members in order."""
    match content:
        case SetContent(members, compact):
            return SetContent(sorted(members, key=int) if compact else members)
        case HashContent(fields, values):
            return HashContent(fields, values)
        case SortedSetContent(pairs):
            return SortedSetContent(pairs)
    return content


@pytest.mark.parametrize(("dumped", "content"), FROM_REDIS)
def test_what_redis_dumped_is_read(dumped: str, content: Content) -> None:
    assert payload.load(bytes.fromhex(dumped)) == content


@given(contents)
@examples
def test_what_is_written_reads_back(content: Content) -> None:
    assert payload.load(payload.dump(content)) == signature(content)


@given(small_contents, st.booleans())
@examples
def test_every_encoding_that_has_been_is_read(content: Content, packed: bool) -> None:
    bodies = elder_bodies(content, packed_string) if packed else elder_bodies(content)
    for body in bodies:
        read = decode(body)
        if isinstance(content, SetContent) and isinstance(read, SetContent):
            assert read.members == content.members
        else:
            assert read == signature(content), body


def test_a_stream_of_redis_6_is_read_and_what_it_does_not_tell_is_worked_out() -> None:
    groups = [StreamGroup(b"%d" % last, last, None, {}, []) for last in (1, 3, 5, 7, 9)]
    node = StreamNode(3, 7, 0, (b"f",), [(3, (b"f", b"x")), (5, (b"f", b"y")), (7, (b"f", b"z"))])
    body = encode(StreamContent([node], 7, 6, 100, groups))
    counters = writer.length(0) + writer.length(3) + writer.length(0) + writer.length(6) + writer.length(100)
    assert counters in body
    body = body.replace(counters, b"").replace(writer.length((1 << 64) - 1), b"")
    read = decode(bytes((types.STREAM_LISTPACKS,)) + body[1:])
    assert isinstance(read, StreamContent)
    assert (read.nodes, read.last_id, read.max_deleted_id, read.entries_added) == ([node], 7, 0, 3)
    assert [group.entries_read for group in read.groups] == [0, 1, None, 3, None]


def test_a_stream_of_redis_6_that_is_empty_was_read_by_nobody() -> None:
    read = decode(bytes((types.STREAM_LISTPACKS, 0, 0, 0, 9, 1, 1)) + b"g" + bytes((0, 9, 0, 0)))
    assert read == StreamContent([], 9, 0, 0, [StreamGroup(b"g", 9, 0, {}, [])])


# Which encodings are written.


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (StringContent(b"x"), types.STRING),
        (ListContent([b"x"]), types.LIST_QUICKLIST_2),
        (SetContent([b"1"], True), types.SET_INTSET),
        (SetContent([b"1"]), types.SET),
        (HashContent([b"f"], [b"v"], True), types.HASH_LISTPACK),
        (HashContent([b"f"], [b"v"]), types.HASH),
        (SortedSetContent([(1.0, b"m")], True), types.ZSET_LISTPACK),
        (SortedSetContent([(1.0, b"m")]), types.ZSET_2),
        (StreamContent([], 0, 0, 0, []), types.STREAM_LISTPACKS_2),
    ],
)
def test_contents_are_written_in_the_encoding_that_they_have(content: Content, kind: int) -> None:
    assert encode(content)[0] == kind


def test_a_list_is_cut_into_listpacks_of_some_kilobytes() -> None:
    elements = [b"e%d" % number for number in range(5000)] + [b"x" * NODE_BYTES, b"y"]
    body = encode(ListContent(elements))
    count = body[1]
    assert count > len(body) // (NODE_BYTES + 16)
    assert decode(body) == ListContent(elements)


def test_an_element_too_long_for_a_listpack_has_a_node_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redraft.rdb.encode.PLAIN_BYTES", 10)
    elements = [b"a", b"b" * 10, b"c" * 11, b"d"]
    body = encode(ListContent(elements))
    assert body[1:3] == bytes((4, types.NODE_PACKED))
    assert bytes((types.NODE_PLAIN, 10)) + b"b" * 10 in body
    assert decode(body) == ListContent(elements)


# Seals.


@pytest.mark.parametrize("version", [0, 1, 6, 9, 10])
def test_elder_versions_are_read(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr("redraft.rdb.payload.VERSION", version)
    sealed = payload.seal(b"\x00\x01a")
    monkeypatch.undo()
    assert payload.load(sealed) == StringContent(b"a")


@pytest.mark.parametrize("version", [11, 256, 65535])
def test_versions_to_come_are_refused(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr("redraft.rdb.payload.VERSION", version)
    sealed = payload.seal(b"\x00\x01a")
    monkeypatch.undo()
    with pytest.raises(SealError):
        payload.load(sealed)


def test_every_bit_is_under_the_seal() -> None:
    sealed = payload.seal(b"\x00\x03abc")
    for position in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(SealError):
            payload.load(bytes(damaged))


@pytest.mark.parametrize("size", range(10))
def test_what_is_shorter_than_a_seal_is_refused(size: int) -> None:
    with pytest.raises(SealError):
        payload.load(bytes(size))


def test_nothing_under_a_good_seal_is_refused() -> None:
    with pytest.raises(PayloadError) as refusal:
        payload.load(payload.seal(b""))
    assert not isinstance(refusal.value, SealError)


def test_what_follows_a_whole_value_is_let_pass() -> None:
    assert payload.load(payload.seal(b"\x00\x01a" + b"more")) == StringContent(b"a")


# Damage under a good seal.


def read_or_refuse(body: bytes) -> None:
    """Assert that a body is refused, or read as something that can be written and read again."""
    try:
        content = decode(body)
    except PayloadError:
        return
    assert decode(encode(content)) == content


@given(damaged_bodies())
@settings(examples, max_examples=1500)
def test_damage_is_refused_or_reads_as_a_value(body: bytes) -> None:
    read_or_refuse(body)


@given(st.binary(max_size=60), st.sampled_from([0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]))
@settings(examples, max_examples=1000)
def test_noise_is_refused_or_reads_as_a_value(noise: bytes, kind: int) -> None:
    read_or_refuse(bytes((kind,)) + noise)


@given(contents)
@settings(examples, max_examples=60)
def test_what_ends_early_is_refused(content: Content) -> None:
    for body in [encode(content), *elder_bodies(content)]:
        for end in range(min(len(body), 300)):
            with pytest.raises(PayloadError):
                decode(body[:end])


CLAIMS = [
    bytes((types.STRING,)) + LONG_COUNT,
    bytes((types.STRING,)) + b"\xc3" + writer.length(4) + LONG_COUNT + b"\x00a\xe0\xff\x00",
    bytes((types.STRING,)) + b"\xc3" + LONG_COUNT + writer.length(9),
    *(bytes((kind,)) + LONG_COUNT + b"\x01a" * 20 for kind in range(20)),
    *(
        bytes((kind,)) + b"\x20" + packed + bytes(32 - len(packed))
        for kind in (9, 10, 11, 12, 13, 16, 17)
        for packed in (b"\xff\xff\xff\x7f\xff\xff", b"\x02\x00\x00\x00\xff\xff\xff\x7f", b"\xfe\xfe\xff\xff\xff\x7f")
    ),
    bytes((types.LIST_QUICKLIST_2, 1, types.NODE_PACKED, 13)) + listpack.join([b"\xf0\xff\xff\xff\x7f\x01"]),
    bytes((types.STREAM_LISTPACKS_2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)) + b"g" + bytes((0, 0, 0)) + LONG_COUNT,
]


@pytest.mark.parametrize("body", CLAIMS)
def test_a_count_that_is_not_true_reserves_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError):
            decode(body)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        bytes((6,)) + b"\x01a",  # modules
        bytes((7,)) + b"\x01a",
        bytes((8,)) + b"\x01a",
        bytes((20,)) + b"\x01a",
        bytes((255,)),
        bytes((types.STRING,)) + b"\xc4",
        bytes((types.STRING,)) + b"\x82",
        bytes((types.LIST, 0)),
        bytes((types.SET, 0)),
        bytes((types.SET, 2)) + b"\x01a" * 2,
        bytes((types.SET_INTSET, 8)) + bytes((2, 0, 0, 0, 0, 0, 0, 0)),
        bytes((types.SET_INTSET, 12)) + bytes((2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0)),
        bytes((types.SET_INTSET, 12)) + bytes((2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 5, 0)),
        bytes((types.SET_INTSET, 11)) + bytes((3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 5)),
        bytes((types.HASH, 0)),
        bytes((types.HASH, 2)) + b"\x01a\x01b" * 2,
        bytes((types.HASH_LISTPACK,)) + writer.string(listpack.write([])),
        bytes((types.HASH_LISTPACK,)) + writer.string(listpack.write([b"f"])),
        bytes((types.HASH_LISTPACK,)) + writer.string(listpack.write([b"f", b"1", b"f", b"2"])),
        bytes((types.HASH_ZIPLIST,)) + writer.string(ziplist([b"f", b"1", b"f", b"2"])),
        bytes((types.HASH_ZIPMAP,)) + writer.string(zipmap([b"f", b"1", b"f", b"2"])),
        bytes((types.HASH_ZIPMAP,)) + writer.string(zipmap([])),
        bytes((types.ZSET_2, 1)) + b"\x01a" + bytes((0, 0, 0, 0, 0, 0, 0xF8, 0x7F)),
        bytes((types.ZSET, 1)) + b"\x01a\xfd",
        bytes((types.ZSET, 1)) + b"\x01a\x03nan",
        bytes((types.ZSET, 1)) + b"\x01a\x00",
        bytes((types.ZSET, 2)) + b"\x01a\x011" * 2,
        bytes((types.ZSET_LISTPACK,)) + writer.string(listpack.write([b"m", b"nan"])),
        bytes((types.ZSET_LISTPACK,)) + writer.string(listpack.write([b"m", b"1_0"])),
        bytes((types.ZSET_LISTPACK,)) + writer.string(listpack.write([b"m", b"1" * 128])),
        bytes((types.ZSET_LISTPACK,)) + writer.string(listpack.write([b"m", b"1", b"m", b"2"])),
        bytes((types.LIST_QUICKLIST_2, 1, 3)) + writer.string(listpack.write([b"a"])),
        bytes((types.LIST_QUICKLIST_2, 1, types.NODE_PACKED)) + writer.string(listpack.write([])),
        bytes((types.LIST_QUICKLIST_2, 1, types.NODE_PLAIN, 0)),
    ],
)
def test_what_no_server_writes_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        decode(body)
