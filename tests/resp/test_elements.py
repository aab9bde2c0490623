"""An encoded array is taken apart into what its elements were encoded to, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.errors import CommandError
from redraft.resp.elements import array, elements, is_array
from redraft.resp.encoder import encode
from redraft.resp.reply import NIL_ARRAY, OK, BigNumber, Map, SetReply, Status, Verbatim

simple = st.one_of(
    st.binary(max_size=5), st.integers(-(1 << 63), (1 << 63) - 1), st.none(), st.just(OK), st.just(NIL_ARRAY),
    st.booleans(), st.floats(allow_nan=False), st.builds(Status, st.just(b"x")), st.just(CommandError("ERR x")),
    st.builds(Verbatim, st.just("txt"), st.binary(max_size=3)), st.just(BigNumber(1234567890123456789012)),
)  # fmt: skip
reply = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(SetReply),
        st.lists(st.tuples(inner, inner), max_size=3).map(Map),
    ),
    max_leaves=8,
)  # fmt: skip


@given(replies=st.lists(reply, max_size=5), protocol=st.sampled_from([2, 3]))
def test_an_array_has_the_elements_that_it_was_made_of(replies: list[object], protocol: int) -> None:
    parts = [encode(each, protocol) for each in replies]
    data = encode(replies, protocol)
    assert is_array(data)
    assert elements(data) == parts
    assert array(parts) == data


@pytest.mark.parametrize("data", [b"", b"*-1\r\n", b"_\r\n", b"-ERR x\r\n", b"+OK\r\n"])
def test_what_is_no_array_is_told_from_one(data: bytes) -> None:
    assert not is_array(data)
    with pytest.raises(ValueError, match="no array"):
        elements(data)


@pytest.mark.parametrize("data", [b"*1\r\n", b"*1\r\n$5\r\nab\r\n", b"*1\r\n:1\r\n:2\r\n", b"*1\r\nx\r\n", b"*x\r\n"])
def test_what_is_no_whole_array_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        elements(data)
