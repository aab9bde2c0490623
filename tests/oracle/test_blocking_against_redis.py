"""Three clients of redraft and of a real redis-server that wait, feed each other, and go: the same replies to each, at
the same step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.blocking_commands import sequence
from oracle.commands import Command
from oracle.comparing import Allowances, same_examples
from oracle.waiting import agree
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

ALLOWANCES: Allowances = {}
DATABASES = 2


@given(protocol=st.sampled_from([2, 3]), steps=sequence(40))
@same_examples
def test_clients_that_wait_are_served_as_by_redis(
    server: Server, redis_server: RedisServer, protocol: int, steps: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, steps, ALLOWANCES, DATABASES)
