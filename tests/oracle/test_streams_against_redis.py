"""Random stream commands to redraft and to a real redis-server: the same replies, and the same streams in the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import Allowances, Typed, agree, same_examples
from oracle.stream_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server


def without_times(reply: Typed) -> Typed:
    """What XINFO tells, less times and the shape of Redis's radix tree."""
    if not isinstance(reply, tuple) or not isinstance(reply[1], list):
        return reply
    kept: list[Any] = []
    elements = [without_times(each) for each in reply[1]]
    for position, element in enumerate(elements):
        before = elements[position - 1] if position else None
        if before in (b"idle", b"seen-time", b"radix-tree-nodes", b"radix-tree-keys"):
            element = "not compared"
        kept.append(element)
    if len(kept) in (3, 4) and all(isinstance(each, (int, bytes)) for each in kept) and isinstance(kept[-1], int):
        kept[-2] = "not compared"  # a pending entry's time
    return reply[0], kept


ALLOWANCES: Allowances = {b"xinfo": without_times, b"xpending": without_times}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_streams_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)
