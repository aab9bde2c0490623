"""Random geo commands to redraft and to a real redis-server: the same replies, and the same sorted sets in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import agree, same_examples
from oracle.geo_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_positions_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, {})
