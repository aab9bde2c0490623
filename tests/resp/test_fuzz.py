"""Any bytes in any chunks: the request parser gives what the strict one gives for all at once, and never raises.

Hypothesis prints the blob of a failing example; `@reproduce_failure` with it runs that example again.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from redraft.resp.parser import Limits, RequestParser
from redraft.resp.strict import ProtocolError, StrictParser

MAX_BULK_BYTES = 60

FUZZ = settings(max_examples=500, deadline=None)


def packed(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


PIECES = [
    *(
        b"*1\r\n",
        b"*2\r\n",
        b"*3\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*11\r\n",
        b"*100000\r\n",
        b"*2000000000\r\n",
        b"*",
        b"*01\r\n",
    ),
    *(b"$1\r\n*\r\n", b"$2\r\n$x\r\n"),
    *(b"$0\r\n\r\n", b"$1\r\na\r\n", b"$2\r\na\r\r\n", b"$3\r\na\r\n\r\n", b"$3\r\nfoo", b"$-1\r\n", b"$61\r\n", b"$"),
    *(b"\r", b"\n", b"\r\n", b"\r\n$", b"\r\n*", b" ", b"\0", b"PING", b"PING\r\n", b'"', b"'", b"\\x41", b"\xff"),
    *(b"+OK\r\n", b"+\r\n", b"-ERR x\r\n", b":5\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(123\r\n"),
    *(b"%0\r\n", b"%1\r\n", b"~0\r\n", b"~1\r\n", b">1\r\n", b"|1\r\n", b"=5\r\ntxt:a\r\n", b"=5\r\ntxt:\xff\r\n"),
]
"""What means something to one of the two parsers, whole or in part."""

words = st.one_of(st.binary(max_size=12), st.sampled_from(PIECES), st.binary(min_size=50, max_size=70))
commands = st.lists(words, min_size=1, max_size=12).map(packed)
pipelines = st.lists(commands, max_size=6).map(b"".join)
garbage = st.lists(st.one_of(st.sampled_from(PIECES), commands, st.binary(max_size=4)), max_size=20).map(b"".join)


@st.composite
def mutated_pipelines(draw: st.DrawFn) -> bytes:
    """A pipeline with a few bytes deleted, replaced or inserted."""
    data = bytearray(draw(pipelines))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 6)))
        data[at:until] = draw(st.one_of(st.binary(max_size=3), st.sampled_from(PIECES)))
    return bytes(data)


cuts = st.lists(st.integers(0, 400), max_size=8)


def strictly(data: bytes, authenticated: bool) -> tuple[list[list[bytes]], str | None]:
    """The commands and the error in `data`, by the strict parser, at once."""
    parser = StrictParser(MAX_BULK_BYTES)
    parser.feed(data)
    found: list[list[bytes]] = []
    try:
        while (command := parser.next(authenticated)) is not None:
            found.append(command)
    except ProtocolError as error:
        return found, str(error)
    return found, None


def assert_agreement(data: bytes, cuts: list[int], authenticated: bool) -> None:
    """Feed `data` in chunks to the request parser and compare."""
    expected = strictly(data, authenticated)
    parser = RequestParser(Limits(MAX_BULK_BYTES, authenticated=authenticated))
    found: list[list[bytes]] = []
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        chunk = data[start:end]
        completed = parser.feed(chunk)
        if parser.packed is not None:
            assert b"".join(map(packed, completed)) == parser.packed
        found += completed
        while parser.waiting:  # who is not let in by that goes on under the same limits
            found += parser.feed(b"")
    assert (found, None if parser.error is None else str(parser.error)) == expected
    for command in found:
        assert type(command) is list
        assert {type(word) for word in command} == {bytes}


@FUZZ
@given(st.binary(max_size=200), cuts, st.booleans())
def test_random_bytes(data: bytes, cuts: list[int], authenticated: bool) -> None:
    assert_agreement(data, cuts, authenticated)


@FUZZ
@given(garbage, cuts, st.booleans())
@example(b"*1\r\n$4\r\nPING\r\n+\r\n", [], True)
@example(b"*1\r\n$4\r\nPING\r\n~1\r\n$1\r\na\r\n", [], True)
@example(b"*2\r\n$2\r\na\r\n$+x\r\n", [], True)
@example(b"*1\r\n%1\r\n*1\r\n", [], True)
@example(b"*2\r\n+AB\r\n$2\r\n$x\r\n", [], True)
@example(b"*2\r\n$2\r\n$x\r\n+AB\r\n", [], True)
def test_pieces_of_the_protocol_in_any_order(data: bytes, cuts: list[int], authenticated: bool) -> None:
    assert_agreement(data, cuts, authenticated)


@FUZZ
@given(pipelines, cuts, st.booleans())
def test_valid_pipelines(data: bytes, cuts: list[int], authenticated: bool) -> None:
    assert_agreement(data, cuts, authenticated)


@FUZZ
@given(mutated_pipelines(), cuts, st.booleans())
def test_pipelines_with_a_few_bytes_changed(data: bytes, cuts: list[int], authenticated: bool) -> None:
    assert_agreement(data, cuts, authenticated)
