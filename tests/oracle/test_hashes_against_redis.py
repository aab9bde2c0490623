"""Random hash commands to redraft and to a real redis-server: the same replies, and the same hashes in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import Allowances, agree, only_shape, same_examples, scanned, unordered, unordered_pairs
from oracle.hash_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

ALLOWANCES: Allowances = {
    b"hgetall": unordered_pairs,
    b"hkeys": unordered,
    b"hvals": unordered,
    b"hrandfield": only_shape,
    b"hscan": scanned(unordered_pairs),
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(100))
@same_examples
def test_hashes_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)
