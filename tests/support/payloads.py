"""Payloads to be read: contents drawn at random, in the encodings of today, and in those that redraft never writes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from redraft.integers import INT64_MAX, INT64_MIN, parse_int64
from redraft.rdb import listpack, types, writer
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
from redraft.rdb.encode import encode

# What redraft never writes.


def lzf(data: bytes) -> bytes:
    """Packed by the first method that comes to mind: whatever repeats one of the last bytes is not said again."""
    packed = bytearray()
    plain = bytearray()
    at = 0

    def flush() -> None:
        for start in range(0, len(plain), 32):
            run = plain[start : start + 32]
            packed.append(len(run) - 1)
            packed.extend(run)
        plain.clear()

    while at < len(data):
        for back in range(1, min(at, 64) + 1):
            count = 0
            while count < 264 and at + count < len(data) and data[at + count] == data[at + count - back]:
                count += 1
            if count >= 3:
                flush()
                code = count - 2
                packed.append(min(code, 7) << 5 | back - 1 >> 8)
                if code >= 7:
                    packed.append(code - 7)
                packed.append(back - 1 & 0xFF)
                at += count
                break
        else:
            plain.append(data[at])
            at += 1
    flush()
    return bytes(packed)


def packed_string(data: bytes) -> bytes:
    """A string in LZF, as it stands in a payload."""
    packed = lzf(data)
    return b"\xc3" + writer.length(len(packed)) + writer.length(len(data)) + packed


def plain_string(data: bytes) -> bytes:
    """A string that is never an integer's."""
    return writer.length(len(data)) + data


def ziplist(elements: Sequence[bytes]) -> bytes:
    """A ziplist of some strings, with all its forms of integers."""
    body = b""
    begun = 0
    before = b"\x00"
    for data in elements:
        begun = len(body)
        entry = before + _ziplist_entry(data)
        body += entry
        size = len(entry)
        before = bytes((size,)) if size < 254 else b"\xfe" + size.to_bytes(4, "little")
    return struct.pack("<IIH", len(body) + 11, begun + 10, len(elements)) + body + b"\xff"


def _ziplist_entry(data: bytes) -> bytes:
    number = parse_int64(data)
    if number is not None:
        if 0 <= number <= 12:
            return bytes((0xF1 + number,))
        for head, width in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
            if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
                return bytes((head,)) + number.to_bytes(width, "little", signed=True)
    size = len(data)
    if size < 1 << 6:
        return bytes((size,)) + data
    if size < 1 << 14:
        return bytes((0x40 | size >> 8, size & 0xFF)) + data
    return b"\x80" + size.to_bytes(4, "big") + data


def zipmap(strings: Sequence[bytes], free: int = 0) -> bytes:
    """A zipmap of fields and values in turn, with some bytes free after each value."""
    body = b""
    for position, data in enumerate(strings):
        size = len(data)
        body += bytes((size,)) if size < 254 else b"\xfe" + size.to_bytes(4, "little")
        body += bytes((free,)) + data + bytes(free) if position % 2 else data
    return bytes((min(len(strings) // 2, 254),)) + body + b"\xff"


def _strings(kind: int, strings: Sequence[bytes], count: int | None = None) -> bytes:
    count = len(strings) if count is None else count
    return bytes((kind,)) + writer.length(count) + b"".join(map(writer.string, strings))


def _score_text(score: float) -> bytes:
    named = {float("inf"): b"\xfe", float("-inf"): b"\xff"}
    if score in named:
        return named[score]
    text = b"%.17g" % score
    return bytes((len(text),)) + text


def _flat(pairs: Sequence[tuple[float, bytes]]) -> list[bytes]:
    return [part for score, member in pairs for part in (member, b"%.17g" % score)]


def _interleaved(content: HashContent) -> list[bytes]:
    return [part for pair in zip(content.fields, content.values, strict=True) for part in pair]


def _nodes(elements: Sequence[bytes], size: int = 3) -> list[Sequence[bytes]]:
    return [elements[start : start + size] for start in range(0, len(elements), size)]


def elder_bodies(content: Content, string: Callable[[bytes], bytes] = plain_string) -> list[bytes]:
    """The same contents in every encoding that has been, one body for each, without a seal. `string` writes the long
    strings that collections are packed into."""
    match content:
        case StringContent(data):
            return [bytes((types.STRING,)) + plain_string(data), bytes((types.STRING,)) + packed_string(data or b" ")][
                : 2 if data else 1
            ]
        case ListContent(elements):
            nodes = _nodes(elements)
            plain = [writer.length(types.NODE_PLAIN) + plain_string(data) for data in elements if data]
            packed = [writer.length(types.NODE_PACKED) + string(listpack.write(node)) for node in nodes]
            bodies = [
                _strings(types.LIST, elements),
                bytes((types.LIST_ZIPLIST,)) + string(ziplist(elements)),
                bytes((types.LIST_QUICKLIST, len(nodes))) + b"".join([string(ziplist(node)) for node in nodes]),
                bytes((types.LIST_QUICKLIST_2, len(nodes))) + b"".join(packed),
            ]
            if len(plain) == len(elements):
                bodies.append(bytes((types.LIST_QUICKLIST_2, len(plain))) + b"".join(plain))
            return bodies
        case SetContent(members):
            return [_strings(types.SET, members)]
        case HashContent(fields):
            flat = _interleaved(content)
            return [
                _strings(types.HASH, flat, len(fields)),
                bytes((types.HASH_ZIPMAP,)) + string(zipmap(flat)),
                bytes((types.HASH_ZIPMAP,)) + string(zipmap(flat, free=3)),
                bytes((types.HASH_ZIPLIST,)) + string(ziplist(flat)),
                bytes((types.HASH_LISTPACK,)) + string(listpack.write(flat)),
            ]
        case SortedSetContent(pairs):
            texts = b"".join([writer.string(member) + _score_text(score) for score, member in pairs])
            doubles = b"".join([writer.string(member) + struct.pack("<d", score) for score, member in pairs])
            return [
                bytes((types.ZSET, len(pairs))) + texts,
                bytes((types.ZSET_2, len(pairs))) + doubles,
                bytes((types.ZSET_ZIPLIST,)) + string(ziplist(_flat(pairs))),
                bytes((types.ZSET_LISTPACK,)) + string(listpack.write(_flat(pairs))),
            ]
        case _:
            return []


# Contents drawn at random. Collections have fewer than 64 members, so that a count is one byte.

_INTEGERS = [
    edge + step
    for edge in (0, 12, 127, -128, 4095, -4096, 1 << 15, -(1 << 15), 1 << 23, -(1 << 23), 1 << 31, -(1 << 31))
    for step in (-1, 0, 1)
]
integers = st.sampled_from([*_INTEGERS, INT64_MIN, INT64_MAX]) | st.integers(INT64_MIN, INT64_MAX)
_numbers = integers.map(lambda number: b"%d" % number)
_odd = st.sampled_from(
    [b"", b"-", b"-0", b"007", b"+1", b" 1", b"1.5", b"9223372036854775808", b"\xff", b"\x00"]
    + [bytes((65 + size % 26,)) * size for size in (11, 20, 21, 63, 64, 65, 125, 126, 253, 254, 4095, 4096, 5000)]
)
strings = st.one_of(st.binary(max_size=12), _numbers, _odd, st.text(max_size=8).map(str.encode))
scores = st.floats(allow_nan=False).map(lambda score: score + 0.0) | st.sampled_from([0.0, 1.0, -3.0, 1e17, 0.1])
_ids = st.integers(1, 1 << 66) | st.integers(1, (1 << 128) - 1) | st.integers(1, 9).map(lambda ms: ms << 64)

string_contents = strings.map(StringContent)
list_contents = st.lists(strings, min_size=1, max_size=20).map(ListContent)
set_contents = st.one_of(
    st.lists(strings, min_size=1, max_size=20, unique=True).map(SetContent),
    st.lists(_numbers, min_size=1, max_size=20, unique=True).map(lambda numbers: SetContent(numbers, True)),
)


@st.composite
def hash_contents(draw: st.DrawFn) -> HashContent:
    """A hash."""
    fields = draw(st.lists(strings, min_size=1, max_size=12, unique=True))
    return HashContent(fields, [draw(strings) for _ in fields], draw(st.booleans()))


@st.composite
def sorted_set_contents(draw: st.DrawFn) -> SortedSetContent:
    """A sorted set."""
    members = draw(st.lists(strings, min_size=1, max_size=12, unique=True))
    return SortedSetContent(sorted((draw(scores), member) for member in members), draw(st.booleans()))


@st.composite
def stream_contents(draw: st.DrawFn) -> StreamContent:
    """A stream, with what was deleted from it and what its groups know."""
    numbers = sorted(draw(st.lists(_ids, max_size=10, unique=True)))
    nodes: list[StreamNode] = []
    while numbers:
        count = draw(st.integers(1, len(numbers)))
        nodes.append(_stream_node(draw, numbers[:count]))
        numbers = numbers[count:]
    last_id = max(draw(_ids), nodes[-1].last if nodes else 0)
    groups = [_stream_group(draw, name) for name in draw(st.lists(strings, max_size=3, unique=True))]
    ever = sum([len(node.entries) + node.deleted for node in nodes]) + draw(st.integers(0, 5))
    return StreamContent(nodes, last_id, min(draw(st.just(0) | _ids), last_id), ever, groups)


def _stream_node(draw: st.DrawFn, numbers: list[int]) -> StreamNode:
    first, last = numbers[0], numbers[-1]
    numbers = draw(st.lists(st.sampled_from(numbers), min_size=1, unique=True).map(sorted))
    names = tuple(draw(st.lists(strings, min_size=1, max_size=3)))
    entries = []
    for number in numbers:
        values = [draw(strings) for _ in names]
        same = draw(st.booleans())
        fields = [part for pair in zip(names, values, strict=True) for part in pair] if same else [b"f", *values[:1]]
        entries.append((number, tuple(fields)))
    gone = (numbers[0] != first) + (numbers[-1] != last)
    return StreamNode(first, last, gone + draw(st.integers(0, 3)), names, entries)


def _stream_group(draw: st.DrawFn, name: bytes) -> StreamGroup:
    times = st.integers(0, 1 << 62)
    seen_ms = {consumer: draw(times) for consumer in draw(st.lists(strings, max_size=3, unique=True))}
    numbers = sorted(draw(st.lists(_ids, max_size=6, unique=True))) if seen_ms else []
    deliveries = st.integers(0, 300)
    owners = st.sampled_from(list(seen_ms) or [b""])
    pending = [StreamPending(number, draw(owners), draw(times), draw(deliveries)) for number in numbers]
    return StreamGroup(name, draw(_ids), draw(st.none() | st.integers(0, 1 << 40)), seen_ms, pending)


small_contents: st.SearchStrategy[Content] = st.one_of(
    string_contents, list_contents, set_contents, hash_contents(), sorted_set_contents()
)
"""All but streams."""
contents: st.SearchStrategy[Content] = st.one_of(small_contents, stream_contents())


# Damage.


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """A value, without a seal, of which some bytes were changed, lost, doubled or put in."""
    content = draw(contents)
    body = bytearray(
        draw(st.sampled_from([encode(content), *elder_bodies(content), *elder_bodies(content, packed_string)]))
    )
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        size = draw(st.integers(1, 8))
        match draw(st.integers(0, 4)):
            case 0:
                body[at : at + 1] = draw(
                    st.sampled_from([b"\x00", b"\xff", b"\x80", b"\x81", b"\xc3", b"\x7f", b"\xfe"])
                )
            case 1:
                del body[at : at + size]
            case 2:
                body[at:at] = body[at : at + size]
            case 3:
                body[at:at] = draw(st.binary(max_size=9))
            case _:
                body[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(body)
