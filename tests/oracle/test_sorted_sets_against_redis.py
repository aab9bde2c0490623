"""Random sorted set commands to redraft and to a real redis-server: the same replies, and the same keys in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import Allowances, Typed, agree, same_examples, scanned, signless, unordered_pairs
from oracle.sorted_set_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

ALWAYS_SIGNLESS = (b"zrange", b"zrevrange", b"zrangebyscore", b"zrevrangebyscore", b"zscore", b"zmscore", b"zunion",
                   b"zinter", b"zdiff", b"zpopmin", b"zpopmax", b"zmpop", b"zadd", b"zincrby")  # fmt: skip


def drawn(reply: Typed) -> Typed:
    """Drawn at random: how many, and whether in pairs."""
    if isinstance(reply, tuple) and isinstance(reply[1], list):
        return reply[0], [drawn(element) for element in reply[1]]
    if isinstance(reply, tuple) and reply[0] == ",":
        return ",", b"drawn"
    return b"drawn" if isinstance(reply, bytes) else reply


ALLOWANCES: Allowances = {
    **dict.fromkeys(ALWAYS_SIGNLESS, signless),
    b"zrandmember": drawn,
    b"zscan": scanned(lambda reply: unordered_pairs(signless(reply))),
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_sorted_sets_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)
