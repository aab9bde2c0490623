"""Random commands on strings and keys, in both protocols with the types on the wire; see also `test_against_redis`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command, sequence
from oracle.comparing import Allowances, Typed, agree, same_examples, scanned, unordered
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

DATABASES = 16


def time_left(reply: Typed) -> Typed:
    """Whether there is a time to live: how much of it is left differs by a little."""
    return "some time" if isinstance(reply, int) and reply > 0 else reply


def encoding(reply: Typed) -> Typed:
    """Redis holds what INCRBYFLOAT made as a string even where it is an integer; no such difference is kept here."""
    return b"int" if reply == b"embstr" else reply


ALLOWANCES: Allowances = {
    **dict.fromkeys((b"ttl", b"pttl", b"expiretime", b"pexpiretime"), time_left),
    b"keys": unordered,
    b"scan": scanned(unordered),
    b"object": encoding,
    b"hello": lambda reply: reply if isinstance(reply, Exception) else reply[0],
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_strings_and_keys_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES, DATABASES)
