"""Random set commands to redraft and to a real redis-server: the same replies, and the same sets in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import Allowances, agree, only_shape, same_examples, scanned, unordered
from oracle.set_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

ALLOWANCES: Allowances = {
    **dict.fromkeys((b"smembers", b"sinter", b"sunion", b"sdiff"), unordered),
    **dict.fromkeys((b"spop", b"srandmember"), only_shape),
    b"sscan": scanned(unordered),
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(100))
@same_examples
def test_sets_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)
